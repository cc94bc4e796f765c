// The page works without this: it saves reloading, and keeps what is shown live.

const ago = new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "auto", style: "short" });
const units = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

function tellAges() {
  for (const time of document.querySelectorAll("time[data-ago]")) {
    // The clocks of two machines differ.
    const seconds = Math.min(0, Math.round((Date.parse(time.dateTime) - Date.now()) / 1000));
    const [unit, length] = units.find(([, length]) => Math.abs(seconds) >= length) ?? units[3];
    time.textContent = ago.format(Math.round(seconds / length), unit);
  }
}

function showNews(news) {
  const shape = document.querySelector("[data-shape]");
  if (shape && (news["page:shape"] ?? shape.dataset.shape) !== shape.dataset.shape && !isBusy()) return renew();
  for (const [place, value] of Object.entries(news)) {
    const found = document.querySelector(`[data-place="${CSS.escape(place)}"]`);
    if (!found) continue;
    if (found instanceof SVGElement) found.setAttribute("d", value);
    else if (found.localName === "time") found.dateTime = value;
    else if (place.endsWith(".state")) showState(found, value);
    else found.textContent = value;
  }
  tellAges();
}

function showState(pill, state) {
  pill.textContent = pill.dataset[`words${state[0].toUpperCase()}${state.slice(1)}`] ?? state;
  for (const one of [pill, pill.closest("[data-meter]")]) {
    one?.classList.remove("online", "offline", "waiting", "off");
    one?.classList.add(state);
  }
}

// A proxy that collects what is sent lets nothing through for so long: then the page is asked for.
const FIRST_NEWS_MS = 10000;
const QUIET_MS = 45000;

function followNow(address) {
  let heardAt = Date.now();
  let quietMs = FIRST_NEWS_MS;
  const open = () => {
    const source = new EventSource(address);
    source.onmessage = (event) => {
      heardAt = Date.now();
      quietMs = QUIET_MS;
      showLost(false);
      showNews(JSON.parse(event.data));
    };
    source.onerror = () => {
      showLost(true);
      // A network that is away is tried again by the browser, an answer that is none is not: the
      // session has ended, or a proxy says that the service is away.
      if (source.readyState === EventSource.CLOSED) setTimeout(() => renew().then(open), 5000);
    };
  };
  open();
  setInterval(() => Date.now() - heardAt > quietMs && renew(), FIRST_NEWS_MS);
}

// A connection that is there again at once is not worth a word.
const LOST_MS = 4000;
let lost;

function showLost(isLost) {
  if (document.body.classList.toggle("stale", isLost) && lost) return;
  clearTimeout(lost);
  const place = document.querySelector(".lost");
  lost = isLost && setTimeout(() => (place.textContent = document.body.dataset.wordsLost), LOST_MS);
  if (!isLost) place.textContent = "";
}

// A form's answer is the whole page again: what differs of it is shown in its place.
async function give(form, button) {
  const buttons = [...form.querySelectorAll("button")];
  const fields = new FormData(form, button);
  // The same until there is an answer: what is sent twice runs once.
  form.transaction ??= crypto.randomUUID?.() ?? String(Math.random());
  fields.set("transaction", form.transaction);
  button?.setAttribute("aria-busy", "true");
  buttons.forEach((one) => (one.disabled = true));
  let answer = await send(form, fields);
  // The page is older than the log-in, or than the browser's cookies.
  if (answer?.status === 403) answer = await send(form, await withNewToken(fields));
  const text = answer ? await answer.text() : "";
  button?.removeAttribute("aria-busy");
  buttons.forEach((one) => (one.disabled = false));
  if (isOurs(text)) delete form.transaction;
  else if (answer?.status !== 401 || isTyped()) return explain(form, text);
  else return location.reload();
  if (answer.redirected) return location.assign(answer.url);
  showPage(text, form);
}

function send(form, fields) {
  const body = form.enctype === "multipart/form-data" ? fields : new URLSearchParams(fields);
  return fetch(form.action, { method: "POST", body, headers: { "X-Requested-With": "esquirell" } }).catch(() => null);
}

async function withNewToken(fields) {
  const answer = await fetch(location.href, { headers: { "X-Requested-With": "esquirell" } }).catch(() => null);
  const token = answer?.ok && parsed(await answer.text()).querySelector("[name=_xsrf]")?.value;
  if (token) fields.set("_xsrf", token);
  return fields;
}

function parsed(text) {
  return new DOMParser().parseFromString(text, "text/html");
}

// Whether a text is a page, and not one that only says what is wrong.
function isOurs(text) {
  return parsed(text).querySelector("main:not(:has(> .message))") !== null;
}

// Says beside a form why it was not taken: in the words of the answer, or that there was none.
function explain(form, text) {
  const sentences = [...parsed(text).querySelectorAll(".message [data-kept]")];
  const note = document.createElement("div");
  note.className = "problem";
  note.setAttribute("role", "alert");
  note.append(...(sentences.length ? sentences : [document.body.dataset.wordsAway]));
  form.querySelector(":scope > .problem")?.remove();
  form.append(note);
}

// What is typed in other forms than the one that was answered stays.
function showPage(text, answered) {
  const next = parsed(text).querySelector("main");
  if (!next) return location.reload();
  const search = document.querySelector("[data-narrow] [name=q]");
  const searches = search && search === document.activeElement;
  const changed = fieldsOf(document).filter((one) => one.form !== answered && isChanged(one));
  const open = [...document.querySelectorAll("details[open]")].map((one) => one.dataset.keep).filter(Boolean);
  const at = places().indexOf(document.activeElement);
  document.querySelector("main").replaceWith(next);
  for (const key of open) next.querySelector(`details[data-keep="${CSS.escape(key)}"]`)?.setAttribute("open", "");
  const typed = search && next.querySelector("[data-narrow] [name=q]");
  if (typed) typed.value = search.value;
  takeOver(changed, next);
  if (typed && searches) typed.focus();
  else if (at >= 0) places()[at]?.focus({ preventScroll: true });
  const answer = next.querySelector(".answer");
  if (answer) {
    answer.tabIndex = -1;
    answer.focus({ preventScroll: true });
    answer.scrollIntoView({ block: "nearest" });
    showProblem(answer);
  }
  settle();
}

function takeOver(changed, main) {
  const typed = new Map(changed.map((one) => [addressOf(one), one]));
  for (const field of fieldsOf(main)) {
    const known = typed.get(addressOf(field));
    if (!known || field.type === "file") continue;
    if (field.type === "checkbox" || field.type === "radio") field.checked = known.checked;
    else field.value = known.value;
    for (let one = field.closest("details"); one; one = one.parentElement.closest("details")) one.open = true;
  }
}

function fieldsOf(place) {
  return [...place.querySelectorAll("form:not([data-narrow]) :is(input, select, textarea)")];
}

// Which field of which form it is.
function addressOf(field) {
  const hidden = [...field.form.querySelectorAll("[type=hidden]:is([name=command], [name=place])")];
  const choice = field.type === "checkbox" || field.type === "radio" ? field.value : "";
  return [field.form.action, ...hidden.map((one) => one.value), field.name, choice].join("\n");
}

// What the keyboard can reach of the page.
function places() {
  return [...document.querySelectorAll("main :is(a, button, summary, [tabindex])")];
}

// What is wrong with a field is said beside it, too.
function showProblem(answer) {
  const name = answer.querySelector(".refused")?.dataset.field;
  const fields = answer.closest("section, li, details")?.querySelectorAll(`form.fields [name="${CSS.escape(name ?? "")}"]`) ?? [];
  const field = [...fields].find((one) => one.type !== "hidden");
  if (!name || !field) return;
  const text = document.createElement("p");
  text.className = "problem";
  text.id = "problem-of-field";
  text.textContent = answer.querySelector(".refused").textContent;
  field.closest("details")?.setAttribute("open", "");
  field.setAttribute("aria-invalid", "true");
  field.setAttribute("aria-describedby", [field.getAttribute("aria-describedby"), text.id].filter(Boolean).join(" "));
  (field.closest(".choice, .field") ?? field).append(text);
  field.focus();
}

async function follow(place) {
  for (let pause = 200; place.isConnected; pause = Math.min(pause * 1.3, 2000)) {
    await new Promise((done) => setTimeout(done, pause));
    const answer = await fetch(place.dataset.follow, { headers: { "X-Requested-With": "esquirell" } }).catch(() => null);
    if (answer?.status === 401 && !isTyped()) return location.reload();
    if (!answer?.ok) continue;
    place.innerHTML = await answer.text();
    if (place.querySelector("[data-ended]")) return;
  }
}

let soon;
function preview({ target }) {
  const { cron, timezone, rule } = target.form?.elements ?? {};
  if (!cron?.dataset.preview || (target !== cron && target !== timezone)) return;
  rule.value = "cron";
  clearTimeout(soon);
  soon = setTimeout(async () => {
    const query = new URLSearchParams({ cron: cron.value, timezone: timezone.value });
    const answer = await fetch(`${cron.dataset.preview}?${query}`, { headers: { "X-Requested-With": "esquirell" } }).catch(() => null);
    if (answer?.ok) cron.closest(".choice").querySelector(".preview").innerHTML = await answer.text();
  }, 250);
}

// A new meter shows its first values as soon as they are there, and History what is worked up.
async function awaitValues() {
  for (;;) {
    await new Promise((done) => setTimeout(done, 2000));
    if (!document.querySelector("[data-await]")) return;
    await renew();
  }
}

// Whether somebody is at work on the page: what is typed, or has just been answered, would be lost.
function isBusy() {
  return isTyped() || document.querySelector("main [data-follow], main .answer, main form .problem") !== null;
}

function isTyped() {
  const fields = fieldsOf(document);
  return fields.includes(document.activeElement) || fields.some(isChanged);
}

function isChanged(field) {
  if (field.type === "hidden") return false;
  if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
  if (field.localName !== "select") return field.value !== field.defaultValue;
  const chosen = [...field.options].find((one) => one.defaultSelected) ?? field.options[0];
  return field.selectedOptions[0] !== chosen;
}

// Loads the page again, and shows what differs; while somebody is at work only if that is wanted.
async function renew(isWanted = false, show = showPage) {
  if (isBusy() && !isWanted) return;
  const answer = await fetch(location.href, { headers: { "X-Requested-With": "esquirell" } }).catch(() => null);
  if (show === patchPage) showLost(!answer?.ok);
  if (isBusy() && !isWanted) return;
  // The session has ended, or what the page shows was removed.
  if (answer?.status === 401 || answer?.status === 404) return location.reload();
  if (answer?.ok) show(await answer.text());
}

// A list that is left open says what is so now. What has not changed is left alone, and so is the
// place of somebody who reads it.
function patchPage(text) {
  const next = parsed(text).querySelector("main");
  if (!next) return;
  const focused = document.activeElement;
  const called = nameOf(focused);
  patch(document.querySelector("main"), next);
  if (!focused.isConnected) places().find((one) => nameOf(one) === called)?.focus({ preventScroll: true });
  settle();
}

// Which of the places of a page it is, whatever stands before it.
function nameOf(place) {
  return [place.closest("[id]")?.id, place.getAttribute("href") ?? place.textContent.trim()].join(" ");
}

// What the reader or our script has set.
const KEPT = ["open", "hidden"];

function patch(old, next) {
  if (old.isEqualNode(next)) return;
  const parts = [...old.childNodes];
  if (old.nodeName !== next.nodeName || parts.length !== next.childNodes.length || !parts.length) {
    return old.replaceWith(next.cloneNode(true));
  }
  for (const { name, value } of next.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const { name } of [...old.attributes]) if (!next.hasAttribute(name) && !KEPT.includes(name)) old.removeAttribute(name);
  parts.forEach((part, number) => patch(part, next.childNodes[number]));
}

// Some of many meters, while it is typed or chosen which; the address keeps the choice.
function narrow(form) {
  const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value)).toString();
  history.replaceState(null, "", query ? `?${query}` : location.pathname);
  return renew(true);
}

let timer;
function narrowSoon(event) {
  clearTimeout(timer);
  timer = setTimeout(narrow, event.target.matches("select") ? 0 : 250, event.currentTarget);
}

function settle() {
  tellAges();
  document.querySelectorAll("[data-hide]").forEach((button) => (button.hidden = true));
  document.querySelectorAll("[data-narrow]").forEach((form) => form.addEventListener("input", narrowSoon));
  document.querySelectorAll("[data-follow]").forEach(follow);
  document.dispatchEvent(new Event("shown"));
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  const stays = form.dataset.confirm && !window.confirm(form.dataset.confirm);
  if (stays || form.matches("[data-steer]")) event.preventDefault();
  if (!stays && form.matches("[data-steer]")) give(form, event.submitter);
});
document.addEventListener("change", ({ target }) => {
  // A date changes with each of its parts while it is typed.
  if (target.form?.matches("[data-choose]") && target.type !== "date") target.form.requestSubmit();
});
document.addEventListener("input", preview);
// Another command than the one that may have arrived.
document.addEventListener("input", (event) => delete event.target.form?.transaction);
settle();
if (document.querySelector("[data-await]")) awaitValues();
setInterval(tellAges, 1000);
if (document.body.dataset.live) followNow(document.body.dataset.live);
const { renewed } = document.body.dataset;
if (renewed) setInterval(() => document.hidden || renew(false, patchPage), renewed * 1000);
