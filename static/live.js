// A form that shows what becomes of it while it is typed: <form data-live="id of the part to renew">. Without scripts
// its Preview button does the same.
"use strict";

for (const form of document.querySelectorAll("form[data-live]")) {
  let timer = 0;
  let latest = 0;

  // Its buttons are named "action" too: form.action would be them.
  const renew = async () => {
    const mine = ++latest;
    const part = document.getElementById(form.dataset.live);
    const data = new FormData(form);
    data.set("action", "preview");
    part.classList.add("waiting");
    try {
      const answer = await fetch(form.getAttribute("action"), { method: "POST", body: data, credentials: "same-origin" });
      const made = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(form.dataset.live);
      if (mine !== latest || !answer.ok || !made) return;
      const focused = document.activeElement;
      const id = part.contains(focused) ? focused.id : "";
      part.replaceChildren(...made.childNodes);
      if (id) document.getElementById(id)?.focus();
    } catch {
      // The line is down: the button says so.
    } finally {
      if (mine === latest) part.classList.remove("waiting");
    }
  };

  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(renew, 600);
  });
}
