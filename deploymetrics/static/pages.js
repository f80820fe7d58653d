// Makes the pages a little nicer; each of them works without it.
"use strict";

// Buttons that copy what the element with the id in data-copy shows.
for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) break;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    const before = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = before; }, 2000);
  });
}

// Fills in the zone of this browser.
for (const button of document.querySelectorAll("[data-zone]")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    document.getElementById(button.dataset.zone).value = Intl.DateTimeFormat().resolvedOptions().timeZone;
  });
}

// A box that selects all on the page.
for (const all of document.querySelectorAll("[data-all]")) {
  all.hidden = false;
  all.addEventListener("change", () => {
    for (const box of document.getElementById(all.dataset.all).elements) {
      if (box.type === "checkbox") box.checked = all.checked;
    }
  });
}

// A button that is pressed twice sends its form once: a secret that is shown once would be in the answer that is dropped.
for (const form of document.querySelectorAll("form[method=post]")) {
  let last = -Infinity;
  form.addEventListener("submit", (event) => {
    if (event.timeStamp - last < 2000) event.preventDefault();
    else last = event.timeStamp;
  });
}

// A text is not sent where the server would refuse to read it, and a page with an unsaved one asks before it is left.
for (const text of document.querySelectorAll("textarea[data-keep]")) {
  const limit = Number(text.dataset.limit);
  let sent = false;
  text.addEventListener("input", () => {
    const tooLong = text.value.length * 4 > limit && new Blob([text.value]).size > limit - 10000;
    text.setCustomValidity(tooLong ? "This is far larger than a document may be." : "");
  });
  text.form.addEventListener("submit", () => { sent = true; });
  addEventListener("beforeunload", (event) => {
    if (!sent && text.value !== text.defaultValue) event.preventDefault();
  });
}

// An open page asks now and then whether what it shows has changed, and offers the new state. It refreshes by itself only
// where that is chosen, and not while the pointer, the keyboard or a selection is at work in it. A page that nobody uses
// any more, or sees, asks no more, so that its login ends in time.
for (const box of document.querySelectorAll("[data-live]")) {
  const EVERY = 30000, IN_USE = 15 * 60000, KEY = "deploymetrics-refresh";
  const main = document.getElementById("main");
  let used = Date.now(), asks = true, note = null;
  box.closest("label").hidden = false;
  box.checked = localStorage.getItem(KEY) === "1";
  box.addEventListener("change", () => { localStorage.setItem(KEY, box.checked ? "1" : "0"); });
  for (const event of ["pointermove", "keydown", "scroll"]) {
    addEventListener(event, () => { used = Date.now(); }, {passive: true});
  }
  const isAtWork = () => main.matches(":hover, :focus-within") || String(getSelection()) !== ""
    || document.querySelector(".overview input:checked, details[open]") !== null;
  const offer = () => {
    if (note) return;
    note = document.createElement("p");
    note.className = "notice new";
    note.setAttribute("role", "status");
    const link = document.createElement("a");
    link.href = location.href;
    link.textContent = "Show it";
    link.addEventListener("click", (event) => { event.preventDefault(); location.reload(); });
    note.append(`${box.dataset.new} `, link);
    document.body.append(note);
  };
  const ask = async () => {
    if (!asks || document.hidden || Date.now() - used > IN_USE) return;
    if (!note) {
      const headers = {"If-None-Match": `"${box.dataset.etag}"`};
      const answer = await fetch(box.dataset.live, {method: "HEAD", headers, cache: "no-store"}).catch(() => null);
      if (answer === null || answer.status === 304 || answer.status >= 500) return;
      asks = answer.ok || answer.status === 404;
      if (!asks) return;
    }
    if (box.checked && !isAtWork()) location.reload();
    else offer();
  };
  setInterval(ask, EVERY);
}
