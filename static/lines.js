// Line numbers beside a <textarea data-lines>, and tabs that indent. The form works without them.
"use strict";

for (const area of document.querySelectorAll("textarea[data-lines]")) {
  const numbers = document.createElement("div");
  numbers.className = "line-numbers";
  numbers.setAttribute("aria-hidden", "true");
  const inner = document.createElement("pre");
  numbers.append(inner);
  const frame = document.createElement("div");
  frame.className = "numbered";
  area.replaceWith(frame);
  frame.append(numbers, area);

  let shown = 0;
  const count = () => {
    const lines = area.value.split("\n").length;
    if (lines === shown) return;
    shown = lines;
    inner.textContent = Array.from({ length: lines }, (_, place) => place + 1).join("\n");
  };
  const follow = () => (inner.style.transform = `translateY(${-area.scrollTop}px)`);
  area.addEventListener("input", count);
  area.addEventListener("scroll", follow);
  count();
  follow();
}
