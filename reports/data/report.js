const byId = (id) => document.getElementById(id);
const DATA = JSON.parse(byId("plan-data").textContent);

// Money

function money(usd) {
  if (usd < 0) return "-" + money(-usd);
  for (const [size, suffix] of [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "k"]]) {
    if (usd >= 0.9995 * size) return "$" + Number((usd / size).toPrecision(3)) + suffix;
  }
  return "$" + (usd > 0 && usd < 10 ? usd.toFixed(2) : usd.toFixed(0));
}

function price(usd) {
  return "$" + (usd >= 0.1 || usd === 0
    ? usd.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 })
    : String(Number(usd.toPrecision(3))));
}

// The cost lines of one arm, summed by group: every line is quantity x unit price x (1 + contingency).
function costOf(arm, values) {
  const months = Math.round(values.horizon_months);
  const byMonth = [];
  let requests = 0;
  for (let month = 1; month <= months; month++) {
    const v = { ...values, ...arm.own, month };
    const series = SERIES.map((formula) => formula(v));
    DATA.series.forEach((name, place) => { v[name] = series[place]; });
    requests += v.requests_in_month;
    byMonth.push(v);
  }
  const groups = DATA.groups.map(() => 0);
  let build = 0;
  for (const [group, timing, quantity, unitPrice] of arm.lines) {
    const occurring = timing === "once" ? byMonth.slice(0, 1) : byMonth;
    let usd = 0;
    for (const v of occurring) {
      const times = timing === "retrain" ? v.retrains_in_month : 1;
      usd += times * FORMULAS[quantity](v) * FORMULAS[unitPrice](v);
    }
    usd *= 1 + values.contingency_fraction;
    groups[group] += usd;
    if (timing === "once") build += usd;
  }
  const total = groups.reduce((sum, usd) => sum + usd, 0);
  return { arm, total, build, groups, per1000: (1000 * total) / requests };
}

function costs(values) {
  return DATA.arms.map((arm) => costOf(arm, values));
}

// Inputs

const shown = (value) => value.toLocaleString("en-US", { maximumSignificantDigits: 6 });

const fields = new Map();
for (const field of document.querySelectorAll("[data-input]")) {
  const name = field.dataset.input;
  const input = DATA.inputs[name];
  const hint = document.createElement("small");
  hint.id = "hint-" + name;
  hint.hidden = true;
  hint.textContent = "Allowed: " + (input.high === null
    ? shown(input.low) + " or more"
    : shown(input.low) + " to " + shown(input.high)) + ". The plan's " + shown(input.base) + " is used.";
  field.setAttribute("aria-describedby", hint.id);
  field.closest(".field").append(hint);
  fields.set(name, { ...input, field, hint, slider: byId("slide-" + name) });
}

const STEPS = 1000;

function ends(input) {
  const low = Math.max(input.base / input.reach, input.low);
  const high = Math.min(input.base * input.reach, input.high === null ? Infinity : input.high);
  return [low, high];
}

// A slider moves by equal factors: its place among STEPS for a value, and the value at its place.
function placeOf(input, value) {
  const [low, high] = ends(input);
  const share = Math.log(value / low) / Math.log(high / low);
  return Math.round(STEPS * Math.min(Math.max(share, 0), 1));
}

function valueAt(input, place) {
  if (place === placeOf(input, input.base)) return input.base;
  const [low, high] = ends(input);
  const value = Number((low * (high / low) ** (place / STEPS)).toPrecision(3));
  return Math.min(Math.max(value, low), high);
}

function read(input) {
  const value = input.field.valueAsNumber;
  const usable = Number.isFinite(value) && value >= input.low && (input.high === null || value <= input.high);
  input.field.setAttribute("aria-invalid", String(!usable));
  input.hint.hidden = usable;
  return usable ? value : null;
}

function changed() {
  const found = new Map();
  for (const [name, input] of fields) {
    const value = read(input);
    if (value !== null && value !== input.base) found.set(name, value);
  }
  return found;
}

function write(values) {
  for (const [name, input] of fields) {
    input.field.value = values.has(name) ? values.get(name) : input.base;
    if (input.slider) input.slider.value = placeOf(input, input.field.valueAsNumber);
  }
}

// Output

function element(tag, text, attributes = {}) {
  const made = document.createElement(tag);
  made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function bar(cost, most) {
  const made = element("div", "", { class: "bar", role: "img" });
  const words = [];
  cost.groups.forEach((usd, place) => {
    if (usd <= 0) return;
    const group = DATA.groups[place];
    words.push(group + " " + money(usd));
    const part = element("i", "", { title: group + ": " + money(usd) });
    part.style.width = (100 * usd) / most + "%";
    part.style.background = "var(--group-" + group + ")";
    made.append(part);
  });
  made.setAttribute("aria-label", words.join(", "));
  return made;
}

function show(found, changes) {
  const order = [...found].sort((a, b) => a.total - b.total);
  const most = order[order.length - 1].total;
  const body = byId("live-rows");
  const groups = byId("group-rows");
  body.replaceChildren();
  groups.replaceChildren();
  order.forEach((cost, rank) => {
    const { arm } = cost;
    const row = element("tr", "", { "data-arm": arm.id, "data-usd": cost.total, "data-per-1000": cost.per1000 });
    if (rank === 0) row.className = "chosen";
    const change = cost.total - arm.usd;
    const same = Math.abs(change) <= 1e-9 * Math.abs(arm.usd);
    const name = element("th", arm.label, { scope: "row", class: "kind-" + arm.kind });
    const place = element("td", "", { class: "bars" });
    place.append(bar(cost, most));
    row.append(
      name,
      element("td", money(cost.total), { class: "number" }),
      element("td", same ? "" : (change > 0 ? "+" : "") + money(change), { class: "number" }),
      element("td", price(cost.per1000), { class: "number" }),
      element("td", money(cost.build), { class: "number" }),
      place,
    );
    body.append(row);
    const split = element("tr", "", { "data-arm": arm.id });
    split.append(element("th", arm.label, { scope: "row" }));
    cost.groups.forEach((usd, at) => {
      split.append(element("td", usd === 0 ? "" : money(usd), { class: "number", "data-group": DATA.groups[at], "data-usd": usd }));
    });
    groups.append(split);
  });
  const [first, second] = order;
  byId("live-answer").textContent = first.arm.label + " costs least: " + money(first.total) +
    (second ? "; next is " + second.arm.label + " at " + money(second.total) : "") + ".";
  const words = [...changes].map(([name, value]) =>
    fields.get(name).flag ? fields.get(name).flag + " " + value : "--set " + name + "=" + value);
  byId("live-command").textContent = words.length ? words.join(" ") : "";
  byId("live-again").hidden = words.length === 0;
}

function update() {
  const changes = changed();
  show(costs({ ...DATA.values, ...Object.fromEntries(changes) }), changes);
  const address = new URLSearchParams([...changes]).toString();
  history.replaceState(null, "", address ? "#" + address : location.pathname + location.search);
}

function fromAddress() {
  const asked = new URLSearchParams(location.hash.slice(1));
  const values = new Map();
  for (const [name, text] of asked) {
    if (fields.has(name) && text.trim() !== "" && Number.isFinite(Number(text))) values.set(name, Number(text));
  }
  write(values);
  const found = changed();
  show(costs({ ...DATA.values, ...Object.fromEntries(found) }), found);
}

function check() {
  const apart = costs(DATA.values).map((cost) => Math.abs(cost.total - cost.arm.usd) / Math.max(Math.abs(cost.arm.usd), 1));
  const worst = Math.max(...apart);
  const place = byId("live-check");
  place.dataset.worst = worst;
  place.textContent = worst < 1e-9
    ? "Computed in this page with the plan's own formulas; at the plan's values every total is the program's."
    : "This page does not reproduce the program's totals: do not use the panel.";
  place.classList.toggle("alert", !(worst < 1e-9));
}

for (const input of fields.values()) {
  input.field.addEventListener("input", () => {
    const value = read(input);
    if (input.slider && value !== null) input.slider.value = placeOf(input, value);
    update();
  });
  if (input.slider) {
    input.slider.addEventListener("input", () => {
      input.field.value = valueAt(input, input.slider.valueAsNumber);
      update();
    });
  }
}
byId("reset").addEventListener("click", () => { write(new Map()); update(); });
window.addEventListener("hashchange", fromAddress);
check();
fromAddress();
byId("what-if").hidden = false;

// Tables that sort at a click on a head

function sortBy(table, column, head) {
  const falling = head.getAttribute("aria-sort") === "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", falling ? "descending" : "ascending");
  const key = (row) => {
    const cell = row.cells[column];
    return cell.dataset.value === undefined ? cell.textContent.trim() : Number(cell.dataset.value);
  };
  const compare = (a, b) => typeof a === "number" && typeof b === "number"
    ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
  const rows = [...table.tBodies[0].rows].sort((a, b) => (falling ? -1 : 1) * compare(key(a), key(b)));
  table.tBodies[0].append(...rows);
}

for (const table of document.querySelectorAll("table.sortable")) {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = head.querySelector("button");
    button.addEventListener("click", () => sortBy(table, column, head));
  });
}
