"""The spaCy pipeline that turns a ``Document`` into a ``ParsedResume``.

``ResumeParser`` holds one blank pipeline per language with the same components. Rules are components,
so that a trained one (say a ``ner`` that writes ``doc.spans["entities"]``) can be put before, behind or in
place of any of them with spaCy's own means. A document's lines travel in ``Doc.user_data``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import spacy
from spacy.language import Language as Pipeline
from spacy.tokens import Doc, Span
from spacy.util import registry
from spacy.vocab import Vocab

from looma_core.api.person import Language
from looma_core.api.resume import Entity, ParsedResume, SkillMention
from looma_engines.resume.documents import Document, exact_text
from looma_engines.resume.parsing import entities, skills
from looma_engines.resume.parsing.contact import find_contact
from looma_engines.resume.parsing.context import Context, build_context
from looma_engines.resume.parsing.education import find_education
from looma_engines.resume.parsing.experience import find_experience
from looma_engines.resume.parsing.extras import find_extras
from looma_engines.resume.parsing.language import detect_language
from looma_engines.resume.parsing.sections import find_sections

COMPONENTS: Final = (
    "looma_sections",
    "looma_skills",
    "looma_contact",
    "looma_experience",
    "looma_education",
    "looma_extras",
    "looma_entities",
)
_CONTEXT: Final = "looma_context"
_TOKEN: Final = re.compile(r"[A-Za-zÀ-ɏ]+|\d+|[^\S ]|\S| ")


class MixedTokenizer:
    """Tokens of text that mixes scripts: Latin words, numbers, and every other character by itself.

    The same for both languages, so that a spelling of the skill list is cut like the text it is looked for
    in. A line break inside a sentence counts as a space, hence "machine<break>learning" is found.
    """

    def __init__(self, vocab: Vocab) -> None:
        self.vocab = vocab

    def __call__(self, text: str) -> Doc:
        """Cut ``text``; the tokens and their spaces give it back."""
        words: list[str] = []
        spaces: list[bool] = []
        for found in _TOKEN.finditer(text):
            piece = found.group()
            if piece == " " and words and not spaces[-1] and words[-1] != " ":
                spaces[-1] = True
            else:
                words.append(piece)
                spaces.append(False)
        return Doc(self.vocab, words=words, spaces=spaces)

    def to_bytes(self, **_: object) -> bytes:
        """Nothing to save: the tokenizer has no state."""
        return b""

    def from_bytes(self, _data: bytes, **_kwargs: object) -> MixedTokenizer:
        """Counterpart of ``to_bytes``."""
        return self

    def to_disk(self, *_: object, **__: object) -> None:
        """Counterpart of ``to_bytes`` for a folder."""

    def from_disk(self, *_: object, **__: object) -> MixedTokenizer:
        """Counterpart of ``to_disk``."""
        return self


def create_tokenizer() -> Callable[[Pipeline], MixedTokenizer]:
    """Factory that spaCy's configuration names."""
    return lambda nlp: MixedTokenizer(nlp.vocab)


registry.tokenizers.register("looma.MixedTokenizer.v1", func=create_tokenizer)


def context_of(doc: Doc) -> Context:
    """The context that travels with ``doc``."""
    context = doc.user_data[_CONTEXT]
    if not isinstance(context, Context):
        raise TypeError("the Doc was not made by ResumeParser")
    return context


@Pipeline.component("looma_sections")
def _sections(doc: Doc) -> Doc:
    context = context_of(doc)
    context.sections = find_sections(context)
    return doc


@Pipeline.factory("looma_skills")
class SkillComponent:
    """Skills of the list, in ``Context.skills`` and ``doc.spans["skills"]``."""

    def __init__(self, nlp: Pipeline, name: str) -> None:
        self.name = name
        self._finder = skills.SkillFinder(nlp)

    def __call__(self, doc: Doc) -> Doc:
        """Run the component."""
        context = context_of(doc)
        found = self._finder.mentions(doc, listed=skills.listed_ranges(context))
        found += skills.unlisted(context, found)
        context.skills = sorted(found, key=lambda mention: mention.start)
        doc.spans["skills"] = _spans(doc, [(s.start, s.end, "SKILL") for s in context.skills])
        return doc


@Pipeline.component("looma_contact")
def _contact(doc: Doc) -> Doc:
    find_contact(context_of(doc))
    return doc


@Pipeline.component("looma_experience")
def _experience(doc: Doc) -> Doc:
    find_experience(context_of(doc))
    return doc


@Pipeline.component("looma_education")
def _education(doc: Doc) -> Doc:
    find_education(context_of(doc))
    return doc


@Pipeline.component("looma_extras")
def _extras(doc: Doc) -> Doc:
    context = context_of(doc)
    find_extras(context)
    context.skills = skills.outside_names(context, context.skills)
    return doc


@Pipeline.component("looma_entities")
def _entities(doc: Doc) -> Doc:
    context = context_of(doc)
    found = entities.resolve(entities.collect(context), context.text)
    doc.user_data["entities"] = found
    doc.spans["entities"] = _spans(doc, [(item.start, item.end, item.label) for item in found])
    return doc


def _spans(doc: Doc, found: list[tuple[int, int, str]]) -> list[Span]:
    spans = (doc.char_span(start, end, label=label, alignment_mode="expand") for start, end, label in found)
    return [span for span in spans if span is not None]


class ResumeParser:
    """Parses documents. Building it takes about a second; it holds no state between documents."""

    def __init__(self) -> None:
        self._pipelines: dict[Language, Pipeline] = {"en": _pipeline("en"), "zh": _pipeline("zh")}

    def parse(self, document: Document) -> ParsedResume:
        """Everything that the rules find in ``document``.

        All offsets are code points of ``ParsedResume.text``, which is ``document.text``.
        """
        context, found = self._run(document)
        return ParsedResume(
            language=context.language,
            text=context.text,
            contact=context.contact,
            headline=context.headline,
            summary=context.summary,
            experience=context.experience,
            education=context.education,
            skills=_first_of_each(context.skills),
            languages=context.languages,
            certifications=context.certifications,
            projects=context.projects,
            entities=found,
            pages=document.pages,
            warnings=[*document.warnings, *_warnings(context)],
        )

    def entities(self, text: str) -> list[Entity]:
        """Named spans of a text; offsets are code points of ``text`` as given.

        Raises:
            DocumentProblem: ``empty-document`` or ``document-too-large``.
        """
        _, found = self._run(exact_text(text))
        return found

    def skills(self, text: str) -> list[SkillMention]:
        """Every mention of a skill in a text; offsets are code points of ``text`` as given.

        Raises:
            DocumentProblem: ``empty-document`` or ``document-too-large``.
        """
        context, _ = self._run(exact_text(text))
        return context.skills

    def _run(self, document: Document) -> tuple[Context, list[Entity]]:
        context = build_context(document, language=detect_language(document.text))
        nlp = self._pipelines[context.language]
        doc = nlp.make_doc(context.folded)
        doc.user_data[_CONTEXT] = context
        for _, component in nlp.pipeline:
            doc = component(doc)
        return context, doc.user_data["entities"]


def _pipeline(language: Language) -> Pipeline:
    nlp = spacy.blank(language, config={"nlp": {"tokenizer": {"@tokenizers": "looma.MixedTokenizer.v1"}}})
    for name in COMPONENTS:
        nlp.add_pipe(name)
    return nlp


def _first_of_each(mentions: list[SkillMention]) -> list[SkillMention]:
    """The first mention of each skill."""
    first: dict[str, SkillMention] = {}
    for mention in mentions:
        first.setdefault(mention.id, mention)
    return list(first.values())


def _warnings(context: Context) -> list[str]:
    """What a person should look at, since the rules found nothing where a résumé has something."""
    missing = []
    if context.contact.full_name is None:
        missing.append("No name was found.")
    if context.contact.email is None and context.contact.phone is None:
        missing.append("No e-mail address and no phone number were found.")
    if not context.experience and not context.education:
        missing.append("Neither jobs nor schools were found; the headings may be unusual.")
    return missing
