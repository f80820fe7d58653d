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
