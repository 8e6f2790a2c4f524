// What plain HTML and htmx cannot do: progress of uploads, opening the dialog, and pages that stay right
// without a live stream. Everything works without this file, only less comfortably.
(function () {
  "use strict";

  // --- Uploads: one request a file, so that each has its own progress and its own outcome. ---

  let sent = 0; // Each file that is chosen is an upload of its own, the same one chosen again too.
  const AT_ONCE = 2; // The engine reads one file after the other anyway; more would only wait there.

  function bar(list, file, words) {
    const item = document.createElement("li");
    item.className = "upload going";
    const name = document.createElement("span");
    name.className = "upload-name";
    name.textContent = file.name;
    const state = document.createElement("span");
    state.className = "upload-state muted";
    state.textContent = words.sending;
    const progress = document.createElement("progress");
    progress.max = 100;
    progress.value = 0;
    progress.setAttribute("aria-label", file.name);
    item.append(name, progress, state);
    list.prepend(item);
    return { item: item, progress: progress, state: state };
  }

  function fail(shown, text) {
    shown.item.className = "upload failed";
    shown.progress.remove();
    shown.state.textContent = text;
  }

  function send(form, list, file, done) {
    const words = form.dataset;
    const shown = bar(list, file, words);
    const data = new FormData();
    data.append("csrf_token", form.elements.csrf_token.value);
    data.append("form_key", form.elements.form_key.value + "-" + (sent += 1));
    data.append("file", file, file.name);
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.setRequestHeader("HX-Request", "true");
    request.upload.addEventListener("progress", function (event) {
      if (event.lengthComputable) shown.progress.value = (100 * event.loaded) / event.total;
    });
    request.upload.addEventListener("load", function () {
      shown.progress.removeAttribute("value"); // Sent; how long reading takes nobody knows.
      shown.state.textContent = words.reading;
    });
    request.addEventListener("load", function () {
      if (request.status === 401) {
        fail(shown, words.signedOut);
      } else if (request.status === 200) {
        shown.item.insertAdjacentHTML("afterend", request.responseText);
        shown.item.remove();
      } else {
        const notice = document.createElement("div");
        notice.innerHTML = request.responseText;
        fail(shown, request.status < 500 && notice.textContent.trim() ? notice.textContent.trim() : words.failed);
      }
      done();
    });
    request.addEventListener("error", function () {
      fail(shown, words.failed);
      done();
    });
    request.send(data);
  }

  function uploads(form) {
    const list = document.getElementById("uploads");
    const input = form.querySelector("input[type=file]");
    const waiting = [];
    let going = 0;

    function next() {
      while (going < AT_ONCE && waiting.length) {
        going += 1;
        send(form, list, waiting.shift(), function () {
          going -= 1;
          next();
        });
      }
    }

    function take(files) {
      waiting.push(...files);
      input.value = "";
      next();
    }

    form.classList.add("scripted");
    form.addEventListener("submit", function (event) {
      if (!input.files.length) return;
      event.preventDefault();
      take(input.files);
    });
    input.addEventListener("change", function () {
      if (input.files.length) take(input.files);
    });
    let depth = 0; // dragenter and dragleave come for each child, too.
    form.addEventListener("dragenter", function (event) {
      event.preventDefault();
      depth += 1;
      form.classList.add("over");
    });
    form.addEventListener("dragleave", function () {
      depth -= 1;
      if (depth <= 0) form.classList.remove("over");
    });
    form.addEventListener("dragover", function (event) {
      event.preventDefault();
    });
    form.addEventListener("drop", function (event) {
      event.preventDefault();
      depth = 0;
      form.classList.remove("over");
      take(event.dataTransfer.files);
    });
  }

  // --- Imports: a file that is chosen or dropped is tried at once; importing it takes a click of its own. ---

  function imports(form) {
    const input = form.querySelector("input[type=file]");
    const preview = document.getElementById("preview");

    function look() {
      if (input.files.length) form.requestSubmit(preview);
    }

    input.addEventListener("change", look);
    form.addEventListener("dragover", function (event) {
      event.preventDefault();
      form.classList.add("over");
    });
    form.addEventListener("dragleave", function (event) {
      if (!form.contains(event.relatedTarget)) form.classList.remove("over");
    });
    form.addEventListener("drop", function (event) {
      event.preventDefault();
      form.classList.remove("over");
      input.files = event.dataTransfer.files;
      look();
    });
  }

  // --- The dialog: htmx fills it, this opens it; a dialog closes by itself with Escape. ---

  function dialogs(dialog) {
    let opener = null;
    document.body.addEventListener("htmx:beforeRequest", function (event) {
      if (event.detail.target === dialog && !dialog.open) opener = event.detail.elt.id;
    });
    document.body.addEventListener("htmx:afterSwap", function (event) {
      if (event.detail.target === dialog && dialog.childElementCount && !dialog.open) dialog.showModal();
    });
    dialog.addEventListener("click", function (event) {
      if (event.target === dialog || event.target.closest("[data-close]")) {
        event.preventDefault();
        dialog.close();
      }
    });
    dialog.addEventListener("close", function () {
      dialog.replaceChildren();
      // The button may have been swapped meanwhile; its successor has the same id.
      const back = opener && document.getElementById(opener);
      if (back) back.focus();
    });
  }

  // --- Live pages: while the stream is down (or all are taken), ask every half minute. ---

  const POLL = 30000;
  const LOOK = 1000;

  function live() {
    let up = false;
    let heard = 0;
    function show(is) {
      up = is;
      heard = Date.now();
      document.querySelectorAll("[data-poll]").forEach(function (region) {
        region.classList.toggle("is-live", is);
      });
    }
    document.body.addEventListener("htmx:sseOpen", function () {
      show(true);
    });
    document.body.addEventListener("htmx:sseError", function () {
      show(false);
    });
    document.body.addEventListener("htmx:sseMessage", function () {
      if (!up) show(true);
      heard = Date.now();
    });
    function poll() {
      const region = document.querySelector("[data-poll]");
      if (region && !up) {
        htmx.ajax("GET", region.dataset.poll, { target: region, swap: "outerHTML", select: "#live" });
      }
    }
    window.setInterval(poll, POLL);
    // A stream may stand still without an error, as behind a proxy that hangs: then what is shown is old.
    window.setInterval(function () {
      const region = document.querySelector("[data-silence]");
      if (region && up && Date.now() - heard > 1000 * Number(region.dataset.silence)) {
        show(false);
        poll();
      }
    }, LOOK);
  }

  // A button that is a link for want of a script is a button to the keyboard, too.
  document.addEventListener("keydown", function (event) {
    if (event.key === " " && event.target.matches && event.target.matches("a[role=button]")) {
      event.preventDefault();
      event.target.click();
    }
  });

  document.addEventListener("DOMContentLoaded", function () {
    const form = document.getElementById("upload");
    if (form) uploads(form);
    const table = document.getElementById("import");
    if (table) imports(table);
    dialogs(document.getElementById("dialog"));
    live();
  });

  // --- The other end of a relation: what was chosen since an answer was asked for is not taken away by it. ---

  document.addEventListener("htmx:beforeSwap", function (event) {
    if (event.detail.target.id !== "relation-choices") return;
    const select = event.detail.target.querySelector("select");
    const asked = new URL(event.detail.xhr.responseURL).searchParams.get("object") || "";
    if (select && select.value && select.value !== asked) event.detail.shouldSwap = false;
  });
})();
