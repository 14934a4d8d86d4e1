"""The report's only script: values under the pointer. The page is complete without it."""

SCRIPT = r"""
"use strict";
const tip = document.getElementById("tip");
const round = value => Math.abs(value) >= 1e5 || (value !== 0 && Math.abs(value) < 1e-3)
  ? value.toPrecision(4).replace(/\.?0+e/, "e") : String(+value.toPrecision(6));
const numbers = text => text.split(" ").map(Number);

function show(event, lines) {
  tip.replaceChildren(...lines.map(line => Object.assign(document.createElement("div"), {textContent: line})));
  tip.hidden = false;
  const width = tip.offsetWidth, right = event.clientX + 14 + width > innerWidth;
  tip.style.left = Math.max(4, event.clientX + (right ? -width - 14 : 14)) + "px";
  tip.style.top = Math.max(4, Math.min(innerHeight - tip.offsetHeight - 4, event.clientY + 14)) + "px";
}

function place(svg, event) {
  const box = svg.getBoundingClientRect(), view = svg.viewBox.baseVal;
  const across = (event.clientX - box.left) / box.width, down = (event.clientY - box.top) / box.height;
  return {x: across * view.width, y: down * view.height};
}

function nearest(values, wanted) {
  let best = 0;
  values.forEach((value, index) => { if (Math.abs(value - wanted) < Math.abs(values[best] - wanted)) best = index; });
  return best;
}

for (const svg of document.querySelectorAll("svg.lines")) {
  const [left, right, first, last] = numbers(svg.dataset.plot), cross = svg.querySelector(".cross");
  const series = [...svg.querySelectorAll(".series")].map(group =>
    ({name: group.dataset.name, x: numbers(group.dataset.x), y: numbers(group.dataset.y)}));
  svg.addEventListener("pointermove", event => {
    const wanted = first + (place(svg, event).x - left) / (right - left) * (last - first);
    const longest = series.reduce((a, b) => a.x.length >= b.x.length ? a : b);
    const at = longest.x[nearest(longest.x, wanted)];
    const position = left + (at - first) / (last - first) * (right - left);
    cross.setAttribute("x1", position); cross.setAttribute("x2", position);
    const values = series.map(line => line.name + ": " + round(line.y[nearest(line.x, at)]));
    show(event, [svg.dataset.x + " " + Math.round(at).toLocaleString("en"), ...values]);
    svg.classList.add("on");
  });
  svg.addEventListener("pointerleave", () => { tip.hidden = true; svg.classList.remove("on"); });
}

for (const svg of document.querySelectorAll("svg.heat")) {
  const [left, right, top, bottom, rows] = numbers(svg.dataset.plot), steps = numbers(svg.dataset.steps);
  const cell = svg.querySelector(".cell"), columns = steps.length - 1, high = (bottom - top) / rows;
  const names = svg.dataset.names?.split(" ");
  const position = step => left + (step - steps[0]) / (steps[columns] - steps[0]) * (right - left);
  svg.addEventListener("pointermove", event => {
    const at = place(svg, event), column = steps.findLastIndex(step => position(step) <= at.x);
    const row = Math.floor((at.y - top) / high);
    const inside = column >= 0 && column < columns && row >= 0 && row < rows;
    svg.classList.toggle("on", inside);
    tip.hidden = !inside;
    if (!inside) return;
    const start = 2 * (row * columns + column), hundredths = parseInt(svg.dataset.load.slice(start, start + 2), 36);
    const begin = position(steps[column]), width = position(steps[column + 1]) - begin;
    Object.entries({x: begin, y: top + row * high, width, height: high})
      .forEach(([name, value]) => cell.setAttribute(name, value));
    const load = (hundredths >= 1295 ? "≥ 12.95" : (hundredths / 100).toFixed(2)) + "× uniform";
    show(event, [svg.dataset.row + " " + (names ? names[row] : row) + ", from step " + steps[column].toLocaleString("en"), load]);
  });
  svg.addEventListener("pointerleave", () => { tip.hidden = true; svg.classList.remove("on"); });
}

let shown = null;
document.addEventListener("pointermove", event => {
  const part = event.target.closest("[data-tip]");
  if (shown && shown !== part) tip.hidden = true;
  shown = part;
  if (!part) return;
  part.querySelector("title")?.remove();
  show(event, part.dataset.tip.split("\n"));
});
document.documentElement.addEventListener("pointerleave", () => { if (shown) tip.hidden = true; });
"""
