// The page to try a bundle by hand: one row in, its answer out.
import { fetchWithKey, hasKey } from "./key.js";
import { words } from "./words.js";

const at = (id) => document.getElementById(id);
const state = { language: firstLanguage(), facts: null, bundle: null, seen: null };

function firstLanguage() {
  const kept = stored();
  if (kept in words) return kept;
  const spoken = navigator.languages.find((one) => one.slice(0, 2) in words) || "en";
  return spoken.slice(0, 2);
}

function stored() {
  try { return localStorage.getItem("language"); } catch { return null; }
}

function store(language) {
  try { localStorage.setItem("language", language); } catch { /* private windows may refuse */ }
}

function make(tag, name, text) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text !== undefined) element.textContent = text;
  return element;
}

const say = (name) => words[state.language][name];

// --- what stands still -------------------------------------------------------------------------------------------

function speak(language) {
  state.language = language;
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const element of document.querySelectorAll("[data-word]")) element.textContent = say(element.dataset.word);
  for (const button of document.querySelectorAll("[data-language]"))
    button.setAttribute("aria-pressed", String(button.dataset.language === language));
  for (const area of areas()) area.placeholder = say(area.dataset.modality === "text" ? "placeholder" : "placeholderJson");
  if (!state.bundle) return;
  at("about").textContent = about();
  showRequest();
  if (state.seen) showAnswer(state.seen);
}

function about() {
  const named = state.bundle.targets.length > 1;
  const parts = state.bundle.targets.map((target) => {
    const kind = say("kinds")[target.kind] || target.kind;
    const labels = target.labels ? ` · ${say("labels")(target.labels)}` : "";
    return (named ? `${target.name}: ` : "") + kind + labels;
  });
  return parts.join("\n");
}

function showColumns() {
  const columns = Object.entries(state.bundle.inputs);
  at("columns").replaceChildren(...columns.map(([name, modality]) => column(name, modality)));
  at("columns").classList.toggle("several", columns.length > 1);
}

function column(name, modality) {
  const box = make("div", "column"), head = make("div", "column-head");
  const label = make("label", "", name), count = make("span", "count"), area = make("textarea");
  area.id = label.htmlFor = `column-${name}`;
  area.spellcheck = false;
  Object.assign(area.dataset, { column: name, modality });
  area.addEventListener("input", () => { showCount(area, count); showRequest(); });
  head.append(label, count);
  box.append(head, area);
  return box;
}

function showCount(area, count) {
  const length = [...area.value].length, most = state.facts.limits.text_characters;
  count.textContent = length > most * 0.8 ? `${length.toLocaleString()} / ${most.toLocaleString()}` : length ? length.toLocaleString() : "";
  count.classList.toggle("over", length > most);
}

const areas = () => [...document.querySelectorAll("textarea")];

// --- the request -------------------------------------------------------------------------------------------------

class NotJson extends Error {}

function value(area) {
  if (area.dataset.modality === "text") return area.value;
  try { return JSON.parse(area.value); } catch { throw new NotJson(area.dataset.column); }
}

function row(read) {
  const all = areas();
  if (all.length === 1 && all[0].dataset.modality === "text") return read(all[0]);
  return Object.fromEntries(all.map((area) => [area.dataset.column, read(area)]));
}

const top = () => Math.max(0, Math.min(20, Math.trunc(Number(at("top").value)) || 0));
const address = () => new URL(`v1/${encodeURIComponent(state.bundle.name)}/predict`, document.baseURI);

function showRequest() {
  const sample = (area) => {
    try { return area.value ? value(area) : say("sample"); } catch { return area.value; }
  };
  const body = { inputs: [row(sample)] };
  if (top()) body.top = top();
  const quoted = JSON.stringify(body).replaceAll("'", "'\\''");
  const key = hasKey() ? ` \\\n  -H "Authorization: Bearer $KEY"` : "";
  at("curl").textContent = `curl ${address()}${key} \\\n  -H 'Content-Type: application/json' \\\n  -d '${quoted}'`;
}

async function send(event) {
  event.preventDefault();
  if (!state.bundle || at("send").disabled) return;
  at("send").disabled = true;
  at("outcome").setAttribute("aria-busy", "true");
  try {
    await ask({ inputs: [row(value)], top: top() });
  } catch (error) {
    if (error instanceof NotJson) showProblem(say("notJson")(error.message), say("notJsonRemedy"));
    else showProblem(say("offline"), say("offlineRemedy"));
  } finally {
    at("send").disabled = false;
    at("outcome").removeAttribute("aria-busy");
  }
}

async function ask(body) {
  const started = performance.now();
  const response = await fetchWithKey(address(), {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  });
  const answer = await response.json();
  const latency = performance.now() - started;
  if (response.ok) showAnswer({ ...answer, latency });
  else showProblem(answer.problem, answer.remedy);
}

// --- the answer --------------------------------------------------------------------------------------------------

function show(id) {
  for (const one of ["waiting", "answer", "problem"]) at(one).hidden = one !== id;
}

function showProblem(problem, remedy) {
  state.seen = null;
  at("problem-text").textContent = problem;
  at("remedy-text").textContent = remedy;
  show("problem");
}

function showAnswer(seen) {
  state.seen = seen;
  at("answer").replaceChildren(...seen.predictions.map(prediction), details(seen));
  show("answer");
}

function prediction(one) {
  const box = make("article");
  if (state.bundle.targets.length > 1) box.append(make("h2", "target-name", one.target));
  box.append(...body(one));
  const title = one.reason === "unsure" && Array.isArray(one.labels) ? "open" : "best";
  if (one.candidates && one.candidates.length) box.append(list(say(title), one.candidates));
  return box;
}

function body(one) {
  if (one.reason && !(one.labels || []).length) return [make("p", "decided none", `${say("none")}: ${one.reason === "empty" ? say("empty") : one.reason}`)];
  if (typeof one.label === "string") return [make("p", "decided", one.label), sure(one.score)];
  if (Array.isArray(one.labels)) return several(one);
  if (typeof one.value === "number") return [make("p", "decided", one.value.toLocaleString(state.language, { maximumSignificantDigits: 6 }))];
  const { id, target, candidates, ...rest } = one;
  return [make("pre", "", JSON.stringify(rest, null, 2))];
}

function several(one) {
  if (!one.labels.length) return [make("p", "decided none", say("noLabel"))];
  const scored = one.labels.map((label, place) => ({ label, score: (one.scores || [])[place] }));
  return [make("p", "decided", one.labels.join(" · ")), list("", scored)];
}

const percent = (score) => `${(score * 100).toFixed(1)} %`;

function track(score) {
  const outer = make("div", "track"), inner = make("div", "fill");
  inner.style.width = `${Math.max(0, Math.min(1, score || 0)) * 100}%`;
  outer.append(inner);
  return outer;
}

function sure(score) {
  const line = make("div", "sure");
  if (typeof score === "number") line.append(track(score), make("output", "", percent(score)));
  return line;
}

function list(title, candidates) {
  const box = make("div", "list");
  if (title) box.append(make("h3", "", title));
  for (const { label, score } of candidates)
    box.append(make("span", "name", label), track(score), make("span", "score", typeof score === "number" ? percent(score) : ""));
  return box;
}

function details(seen) {
  const box = make("dl", "facts");
  const rows = [
    [say("id"), seen.predictions.map((one) => one.id).join(" ")],
    [say("latency"), `${seen.latency.toFixed(1)} ${say("ms")}`],
    [say("bundle"), seen.bundle.slice(0, 23) + (seen.bundle.length > 23 ? "…" : "")],
  ];
  for (const [term, text] of rows) box.append(make("dt", "", term), make("dd", "", text));
  return box;
}

// --- start -------------------------------------------------------------------------------------------------------

async function copy() {
  await navigator.clipboard.writeText(at("curl").textContent);
  at("copy").textContent = say("copied");
  setTimeout(() => { at("copy").textContent = say("copy"); }, 1500);
}

async function start() {
  try {
    const response = await fetchWithKey("v1/bundles");
    const told = await response.json();
    if (!response.ok) return showProblem(told.problem, told.remedy);
    state.facts = told;
    const names = told.bundles.map((one) => one.name), several = names.length > 1;
    at("bundle").replaceChildren(...names.map((name) => make("option", "", name)));
    at("bundle").hidden = !several;
    at("only").textContent = several ? "" : names[0];
    choose(names[0]);
  } catch { showProblem(say("offline"), say("offlineRemedy")); }
}

function choose(name) {
  state.bundle = state.facts.bundles.find((one) => one.name === name);
  document.title = `${name} · Tunewright`;
  state.seen = null;
  show("waiting");
  showColumns();
  speak(state.language);
}

at("question").addEventListener("submit", send);
at("question").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) at("question").requestSubmit();
});
at("top").addEventListener("input", showRequest);
at("copy").addEventListener("click", copy);
at("copy").hidden = !navigator.clipboard;
at("key").textContent = /Mac|iPhone|iPad/.test(navigator.platform) ? "⌘" : "Ctrl";
at("bundle").addEventListener("change", (event) => choose(event.target.value));
for (const button of document.querySelectorAll("[data-language]"))
  button.addEventListener("click", () => { store(button.dataset.language); speak(button.dataset.language); });
speak(state.language);
start();
