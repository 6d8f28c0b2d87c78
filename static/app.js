// Comfort for hands on the keyboard. Every page works without it.
"use strict";

const one = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];

// --- lists: select all, a range with shift, the count -----------------------------------------------
const boxes = (form) => all('input[name="ids"]', form);

function count(form) {
  const chosen = boxes(form).filter((box) => box.checked).length;
  const head = one("[data-select-all]", form);
  if (head) {
    head.checked = chosen > 0 && chosen === boxes(form).length;
    head.indeterminate = chosen > 0 && !head.checked;
  }
  for (const output of all("[data-count]", form)) output.textContent = chosen;
}

function select(form, chosen) {
  for (const box of boxes(form)) box.checked = chosen;
  count(form);
}

function listen(form) {
  let last = null;
  form.addEventListener("click", (event) => {
    const box = event.target.closest('input[name="ids"]');
    if (box && event.shiftKey && last) {
      const rows = boxes(form);
      const [from, to] = [rows.indexOf(last), rows.indexOf(box)].sort((a, b) => a - b);
      for (const between of rows.slice(from, to + 1)) between.checked = box.checked;
    }
    if (box) last = box;
    if (event.target.closest("[data-clear]")) select(form, false);
  });
  form.addEventListener("change", (event) => {
    if (event.target.matches("[data-select-all]")) select(form, event.target.checked);
    count(form);
  });
  count(form);
}

// A click anywhere in a row opens it, unless it meant something else.
function openRow(event) {
  const link = event.target.closest("tr")?.querySelector(".row-link");
  if (!link || event.target.closest("a, button, input, label, summary, .check") || String(getSelection())) return;
  if (event.metaKey || event.ctrlKey) window.open(link.href);
  else link.click();
}

// --- filters: choosing is applying; what is empty stays out of the address ----------------------------
function applyFilters(form) {
  form.addEventListener("change", (event) => {
    if (event.target.matches("select, input[type=date]") && !event.target.closest(".menu")) form.requestSubmit();
  });
  form.addEventListener("formdata", ({ formData }) => {
    for (const [name, value] of [...formData]) if (value === "") formData.delete(name);
  });
}

// --- times: how long ago; the exact time stands in the title -------------------------------------------
const ago = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "narrow" });
const STEPS = [["second", 60], ["minute", 60], ["hour", 24], ["day", 30]];

function relative(date) {
  let amount = (date - Date.now()) / 1000;
  if (Math.abs(amount) < 45) return "now";
  for (const [unit, size] of STEPS) {
    if (Math.abs(amount) < size) return ago.format(Math.round(amount), unit);
    amount /= size;
  }
  return null;
}

function tellTimes(root = document) {
  for (const time of all("time[data-relative]", root)) {
    time.dataset.relative ||= time.textContent.split(",")[0];
    time.textContent = relative(new Date(time.dateTime)) ?? time.dataset.relative;
  }
}

// --- dialogs --------------------------------------------------------------------------------------------
const dialog = (content) => {
  const made = document.createElement("dialog");
  made.setAttribute("aria-label", one("h1, h2", content)?.textContent ?? "");
  made.append(content);
  made.addEventListener("close", () => made.remove());
  made.addEventListener("click", (event) => {
    if (event.target === made || event.target.closest("[data-close]")) {
      event.preventDefault();
      made.close();
    }
  });
  document.body.append(made);
  made.showModal();
};

// A link with data-dialog leads to a page with form.confirm; with scripts it opens over this page.
async function openDialog(link) {
  try {
    const answer = await fetch(link.href, { headers: { "X-Requested-With": "fetch" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const form = answer.ok && one("form.confirm", page);
    if (!form) throw new Error("no form to show");
    dialog(document.adoptNode(form));
  } catch {
    location.assign(link.href);
  }
}

function askFirst(event) {
  const button = event.submitter;
  const question = button?.dataset.confirm;
  if (!question || button.dataset.asked) return;
  event.preventDefault();
  const content = one("#ask").content.cloneNode(true);
  one("[data-question]", content).textContent = question;
  const yes = one("[data-yes]", content);
  yes.textContent = button.textContent.trim();
  yes.classList.add(button.classList.contains("danger") ? "danger" : "primary");
  yes.addEventListener("click", () => {
    button.dataset.asked = "yes";
    event.target.requestSubmit(button);
  });
  dialog(content);
}

// --- keys ---------------------------------------------------------------------------------------------------
const rowLinks = () => all(".table .row-link");

function moveFocus(step) {
  const links = rowLinks();
  const here = links.findIndex((link) => link.closest("tr").contains(document.activeElement));
  const next = links[Math.max(0, Math.min(links.length - 1, here + step))];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

const KEYS = {
  "/": () => (one(".filters input[type=search]") ?? one("input[type=search]"))?.select(),
  j: () => moveFocus(1),
  k: () => moveFocus(-1),
  x: () => one('input[name="ids"]', document.activeElement.closest("tr") ?? undefined)?.click(),
  "?": () => dialog(one("#keys").content.cloneNode(true)),
};

document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("input:not([type=checkbox]), select, textarea, [contenteditable]");
  if (event.key === "Escape" && typing) event.target.blur();
  if (typing || event.ctrlKey || event.metaKey || event.altKey || one("dialog[open]") || !KEYS[event.key]) return;
  if (event.key === "x" && !event.target.closest("tr")) return;
  event.preventDefault();
  KEYS[event.key]();
});

// --- the rest -------------------------------------------------------------------------------------------------
function setTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem("theme", theme);
  } catch {
    // Refused storage: the choice lasts for this page.
  }
  showTheme();
}

function showTheme() {
  const now = document.documentElement.dataset.theme ?? "auto";
  for (const button of all("[data-theme-choice]")) button.setAttribute("aria-pressed", button.dataset.themeChoice === now);
}

async function copy(button) {
  const text = button.dataset.copy || one(button.dataset.copyFrom)?.textContent || "";
  await navigator.clipboard.writeText(text.trim());
  button.classList.add("copied");
  one("#said").textContent = "Copied";
  setTimeout(() => button.classList.remove("copied"), 1500);
}

// Closes the menus that are open, but not the one clicked in. Returns how many.
function closeMenus(but = null) {
  const open = all("details.menu[open]").filter((menu) => !menu.contains(but));
  for (const menu of open) menu.open = false;
  return open.length;
}

document.addEventListener("click", (event) => {
  const on = (selector) => event.target.closest(selector);
  const plain = !(event.metaKey || event.ctrlKey || event.shiftKey);
  if (on("a[data-dialog]") && plain) event.preventDefault(), openDialog(on("a[data-dialog]"));
  else if (on("[data-copy], [data-copy-from]")) copy(on("[data-copy], [data-copy-from]"));
  else if (on("[data-theme-choice]")) setTheme(on("[data-theme-choice]").dataset.themeChoice);
  else if (on("[data-dismiss]")) on(".banner").remove();
  else if (on("[data-keys]")) KEYS["?"]();
  else if (!closeMenus(event.target)) openRow(event);
});
document.addEventListener("submit", askFirst);
document.addEventListener("keyup", (event) => {
  if (event.key === "Escape") closeMenus();
});

// Good news goes away by itself; what needs a person stays until it is dismissed.
for (const banner of all('.messages [data-tone="success"], .messages [data-tone="info"]')) {
  setTimeout(() => banner.matches(":hover, :focus-within") || banner.remove(), 6000);
}
// Without HTTPS browsers give no clipboard.
if (!navigator.clipboard) for (const button of all("[data-copy], [data-copy-from]")) button.hidden = true;
all("form[data-list]").forEach(listen);
all("form.filters").forEach(applyFilters);
for (const tab of all(".tabs [aria-current]")) tab.parentElement.scrollLeft = tab.offsetLeft - tab.parentElement.offsetLeft - 16;
tellTimes();
setInterval(tellTimes, 30_000);
showTheme();
