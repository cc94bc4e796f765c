// The read-out under the cursor, the finger or the arrow keys. Without it pictures have their titles.

function shown(figure) {
  return [...figure.querySelectorAll("svg.plot")].find((svg) => svg.getBoundingClientRect().width > 0);
}

function dataOf(figure) {
  figure.readout ??= JSON.parse(figure.dataset.readout || "{}");
  return figure.readout.at?.length ? figure.readout : null;
}

function nearest(places, x) {
  let low = 0;
  let high = places.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (places[middle] < x) low = middle;
    else high = middle;
  }
  return x - places[low] < places[high] - x ? low : high;
}

function tell(figure, svg, number) {
  const data = dataOf(figure);
  figure.dataset.step = number;
  const x = Number(svg.dataset.x) + data.at[number] * Number(svg.dataset.width);
  const cursor = svg.querySelector(".p-cursor");
  cursor.setAttribute("transform", `translate(${x} 0)`);
  cursor.classList.add("on");
  const title = document.createElement("strong");
  title.textContent = data.steps[number];
  const values = data.series
    .filter((series) => series.values[number])
    .map((series) => {
      const entry = document.createElement("span");
      const key = document.createElement("i");
      key.className = series.colour;
      const value = document.createElement("b");
      value.textContent = series.values[number];
      entry.append(key, `${series.name} `, value);
      return entry;
    });
  figure.querySelector(".readout").replaceChildren(title, ...values);
}

function hush(figure) {
  figure.querySelectorAll(".p-cursor.on").forEach((cursor) => cursor.classList.remove("on"));
  figure.querySelector(".readout").replaceChildren();
  delete figure.dataset.step;
}

function point(figure, event) {
  const svg = shown(figure);
  const data = svg && dataOf(figure);
  if (!data) return;
  const box = svg.getBoundingClientRect();
  const x = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
  tell(figure, svg, nearest(data.at, (x - svg.dataset.x) / svg.dataset.width));
}

function step(figure, event) {
  const svg = shown(figure);
  const data = svg && dataOf(figure);
  const moves = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };
  if (event.key === "Escape") hush(figure);
  if (!data || !(event.key in moves)) return;
  event.preventDefault();
  const last = data.at.length - 1;
  const outside = moves[event.key] > 0 ? -1 : last + 1;
  const from = Number(figure.dataset.step ?? outside);
  tell(figure, svg, Math.min(last, Math.max(0, from + moves[event.key])));
}

function leave(figure, event) {
  if (event.pointerType === "mouse" && !figure.contains(event.relatedTarget)) hush(figure);
}

// The page may be renewed: its pictures are others then.
const answers = { pointermove: point, pointerdown: point, pointerout: leave, keydown: step, focusout: hush };
for (const [kind, answer] of Object.entries(answers)) {
  document.addEventListener(kind, (event) => {
    const figure = event.target.closest("figure.picture");
    if (figure) answer(figure, event);
  });
}

// The present power, as a point on the curve of its meter.
function showPresent(figure, known) {
  const data = (figure.present ??= JSON.parse(figure.dataset.live));
  const part = (Date.now() / 1000 - data.from) / (data.until - data.from);
  if (part > 1) return;
  for (const svg of figure.querySelectorAll("svg.plot")) {
    const { x, y, width, height, least, most } = Object.fromEntries(Object.entries(svg.dataset).map(([key, value]) => [key, Number(value)]));
    for (const [meter, colour] of data.meters) {
      const watts = known[`${meter}.watts`];
      if (watts === undefined) continue;
      let point = svg.querySelector(`[data-meter="${CSS.escape(meter)}"]`);
      if (!point) {
        point = document.createElementNS(svg.namespaceURI, "circle");
        point.setAttribute("class", `p-live ${colour}`);
        point.setAttribute("r", 4.5);
        point.dataset.meter = meter;
        svg.append(point);
      }
      const up = Math.min(1, Math.max(0, (watts / data.unit - least) / (most - least)));
      point.setAttribute("cx", x + part * width);
      point.setAttribute("cy", y + (1 - up) * height);
      point.style.visibility = watts === null ? "hidden" : "visible";
    }
  }
}

// Only what changes is sent; time goes on for what does not.
const known = {};
let source;
function followPresent() {
  if (source || !document.querySelector("figure[data-live]")) return;
  source = new EventSource(`${document.body.dataset.base}/live`);
  source.onmessage = (event) => {
    Object.assign(known, JSON.parse(event.data));
    document.querySelectorAll("figure[data-live]").forEach((figure) => showPresent(figure, known));
  };
}
document.addEventListener("shown", followPresent);
followPresent();
