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

// A page with an unsaved text asks before it is left.
for (const text of document.querySelectorAll("textarea[data-keep]")) {
  let sent = false;
  text.form.addEventListener("submit", () => { sent = true; });
  addEventListener("beforeunload", (event) => {
    if (!sent && text.value !== text.defaultValue) event.preventDefault();
  });
}
