"""Figures of the résumé engine on public data that lies beside the project, for docs/resume.md.

usage: python tests/bench/eval_resume.py [--data FOLDER] [--split dev|train] [--errors N]

Nothing of the data is kept: only the counts are printed. `resumener_zh` is scored as strict spans of the
seven labels that both sides have (our SCHOOL counts as its ORG, since it has no label for schools);
`offlinecv_en` compares counts with another parser's output, which is no truth, only a second opinion;
`dotin_en` compares the names, e-mail addresses and degrees that its annotators marked.
"""

from __future__ import annotations

import argparse
import html
import json
import re
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from looma_engines.resume.documents import DocumentProblem, read_document, read_text
from looma_engines.resume.parsing import ResumeParser

ROOT = Path(__file__).resolve().parents[2]
Span = tuple[int, int, str]


def sentences(path: Path) -> Iterator[tuple[str, set[Span]]]:
    """Sentences of a BMES file with their spans."""
    for block in path.read_text(encoding="utf-8").split("\n\n"):
        rows = [row.split() for row in block.splitlines() if row.strip()]
        if not rows:
            continue
        spans: set[Span] = set()
        start = 0
        for at, (_, tag) in enumerate(rows):
            if tag[0] in "BS":
                start = at
            if tag[0] in "ES":
                spans.add((start, at + 1, tag[2:]))
        yield "".join(row[0] for row in rows), spans


def strict_f1(counts: Counter[str], label: str) -> tuple[float, float, float]:
    """Precision, recall and F1 of one label."""
    right, found, true = counts[label + "+"], counts[label + "?"], counts[label + "!"]
    precision, recall = right / max(found, 1), right / max(true, 1)
    return precision, recall, 2 * precision * recall / max(precision + recall, 1e-9)


def resumener(parser: ResumeParser, data: Path, split: str, errors: int) -> None:
    """Strict entity F1 on ResumeNER."""
    labels = ("NAME", "ORG", "TITLE", "EDU", "PRO", "LOC", "CONT", "RACE")
    counts: Counter[str] = Counter()
    seconds = 0.0
    total = 0
    for text, true in sentences(data / "resumener_zh" / f"{split}.char.bmes"):
        started = time.perf_counter()
        entities = parser.entities(text)
        seconds += time.perf_counter() - started
        total += 1
        found = {(e.start, e.end, "ORG" if e.label == "SCHOOL" else e.label) for e in entities}
        found = {span for span in found if span[2] in labels}
        for kind, spans in (("+", found & true), ("?", found), ("!", true)):
            for span in spans:
                counts[span[2] + kind] += 1
                counts["ALL" + kind] += 1
        if errors and found != true:
            errors -= 1
            show = [(text[a:b], label) for a, b, label in sorted(true - found)]
            print(
                text, "\n   missed", show, "\n   wrong", [(text[a:b], x) for a, b, x in sorted(found - true)]
            )
    print(f"resumener_zh {split}: {total} sentences, {1000 * seconds / max(total, 1):.2f} ms each")
    for label in ("ALL", *labels):
        precision, recall, f1 = strict_f1(counts, label)
        print(f"  {label:6} P {precision:.3f} R {recall:.3f} F1 {f1:.3f} of {counts[label + '!']}")


def offlinecv(parser: ResumeParser, data: Path) -> None:
    """Agreement in counts with another parser, and the time per file."""
    agree: Counter[str] = Counter()
    times: list[float] = []
    files = sorted((data / "offlinecv_en" / "pdfs").rglob("*.pdf")) + sorted(
        (data / "resume_files").rglob("*.pdf")
    )
    refused = 0
    for file in files:
        content = file.read_bytes()
        started = time.perf_counter()
        try:
            parsed = parser.parse(read_document(content))
        except DocumentProblem:
            refused += 1
            continue
        times.append(time.perf_counter() - started)
        expected = file.with_suffix("").with_suffix(".expected.json")
        if not expected.exists():
            continue
        counts = json.loads(expected.read_text(encoding="utf-8"))["reproArtifact"]["parsedCounts"]
        agree["files"] += 1
        agree["experience"] += counts["experienceCount"] == len(parsed.experience)
        agree["education"] += counts["educationCount"] == len(parsed.education)
        agree["name"] += counts["hasFullName"] == (parsed.contact.full_name is not None)
        agree["email"] += counts["hasEmail"] == (parsed.contact.email is not None)
        agree["phone"] += counts["hasPhone"] == (parsed.contact.phone is not None)
        agree["location"] += counts["hasLocation"] == (parsed.contact.location is not None)
        agree["summary"] += counts["hasSummary"] == (parsed.summary is not None)
    times.sort()
    print(
        f"offlinecv_en and resume_files: {len(files)} files, {refused} refused, "
        f"median {1000 * times[len(times) // 2]:.0f} ms, p95 {1000 * times[int(0.95 * len(times))]:.0f} ms"
    )
    print(
        "  same as the other parser:", {k: f"{v}/{agree['files']}" for k, v in agree.items() if k != "files"}
    )


_LABEL = re.compile(r'<label type="([^"]+)">(.*?)</label>', re.DOTALL)


def dotin(parser: ResumeParser, data: Path) -> None:
    """Names, addresses and degrees in anonymised English CVs (one long line each, no layout)."""
    counts: Counter[str] = Counter()
    with zipfile.ZipFile(data / "dotin_en" / "train.zip") as archive:
        for name in archive.namelist():
            if not name.endswith(".xml"):
                continue
            raw = html.unescape(archive.read(name).decode("utf-8", "replace"))
            true: dict[str, set[str]] = {}
            for label, text in _LABEL.findall(raw):
                true.setdefault(label, set()).add(" ".join(text.split()).lower())
            plain = re.sub(r"<[^>]+>", "", raw).strip().strip('"')
            if not plain:
                continue
            parsed = parser.parse(read_text(plain))
            counts["files"] += 1
            for label, found in (
                ("Name", {(parsed.contact.full_name or "").lower()}),
                ("Email Address", {(parsed.contact.email or "").lower()}),
                ("Degree", {e.text.lower() for e in parsed.entities if e.label == "EDU"}),
                ("Designation", {e.text.lower() for e in parsed.entities if e.label == "TITLE"}),
            ):
                wanted = true.get(label, set())
                counts[label + "!"] += len(wanted)
                counts[label + "?"] += len(found - {""})
                counts[label + "+"] += len(found & wanted)
    print(f"dotin_en train: {counts['files']} files; texts by type, exact")
    for label in ("Name", "Email Address", "Degree", "Designation"):
        precision, recall, f1 = strict_f1(counts, label)
        print(f"  {label:14} P {precision:.3f} R {recall:.3f} F1 {f1:.3f} of {counts[label + '!']}")


def main() -> None:
    """Print all figures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    arguments.add_argument("--split", choices=("dev", "train"), default="dev")
    arguments.add_argument("--errors", type=int, default=0, help="print so many sentences with errors")
    arguments.add_argument("--only", default="resumener,offlinecv,dotin")
    options = arguments.parse_args()
    if not options.data.is_dir():
        sys.exit(f"no data at {options.data}")
    parser = ResumeParser()
    wanted = options.only.split(",")
    if "resumener" in wanted:
        resumener(parser, options.data, options.split, options.errors)
    if "offlinecv" in wanted:
        offlinecv(parser, options.data)
    if "dotin" in wanted:
        dotin(parser, options.data)


if __name__ == "__main__":
    main()
