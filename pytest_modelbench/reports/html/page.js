"use strict";
(async () => {
  // -- small words: everything that is shown goes through text nodes and attributes, never through markup
  const $ = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const make = (space, tag, attributes, children) => {
    const node = space ? document.createElementNS(space, tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {}))
      if (value !== false && value != null) node.setAttribute(name, value === true ? "" : value);
    node.append(...children.flat(9).filter((child) => child != null && child !== ""));
    return node;
  };
  const el = (tag, attributes, ...children) => make("", tag, attributes, children);
  const svg = (tag, attributes, ...children) => make("http://www.w3.org/2000/svg", tag, attributes, children);
  const on = (target, name, act) => target.addEventListener(name, act);
  const phone = matchMedia("(max-width:640px)");

  // -- the theme, the only thing that is kept in the browser
  const theme = $("#theme");
  const themes = ["auto", "light", "dark"];
  const dress = (name) => {
    document.documentElement.dataset.theme = name;
    theme.textContent = `colours: ${name}`;
  };
  const storage = (act) => { try { return act(localStorage); } catch { return null; } }; // a page from a mail may keep nothing
  const kept = storage((here) => here.getItem("modelbench-theme"));
  dress(themes.includes(kept) ? kept : "auto");
  on(theme, "click", () => {
    dress(themes[(themes.indexOf(document.documentElement.dataset.theme) + 1) % 3]);
    storage((here) => here.setItem("modelbench-theme", document.documentElement.dataset.theme));
  });
  theme.hidden = false;

  // -- readings under the pointer: a chart says by its attributes how its places are values
  const points = (path) => {
    const found = [];
    let x = 0, y = 0;
    for (const [, letter, rest] of path.matchAll(/([MHVLh])([^MHVLh]*)/g)) {
      const numbers = rest.trim().split(/[ ,]+/).map(Number);
      if (letter === "M" || letter === "L") [x, y] = numbers;
      else if (letter === "H") x = numbers[0];
      else if (letter === "V") y = numbers[0];
      if (letter !== "h") found.push([x, y]);
    }
    return found;
  };
  const scaleOf = (text) => {
    const [low, high, start, end, log, unit, ...name] = text.split(" ");
    const [l, h, s, e, u] = [low, high, start, end, unit].map(Number);
    return (place) => {
      const value = l + ((place - s) / (e - s || 1)) * (h - l);
      if (!name[0]) return Math.round(value); // of rounds there is no half
      return `${digits((log === "1" ? 10 ** value : value) / u)} ${name.join(" ")}`;
    };
  };
  const reading = (chart) => (chart.reading ||= {
    x: scaleOf(chart.dataset.x), y: scaleOf(chart.dataset.y), names: chart.dataset.names.split("|"),
    points: all(".dots,.line", chart).flatMap((path) => points(path.getAttribute("d"))),
  });
  const readAt = (chart, x) => {
    const { points: there, ...read } = reading(chart);
    if (!there.length) return null;
    const near = there.reduce((best, point) => (Math.abs(point[0] - x) < Math.abs(best[0] - x) ? point : best));
    for (const old of all(".cursor", chart)) old.remove();
    ($(".view", chart) || chart).append(svg("path", { class: "cursor", d: `M${near[0]} 0V200` }));
    const told = chart.dataset.labels?.split("|")[read.x(near[0]) - 1];
    return [told || `${read.names[0]} ${read.x(near[0])}`.trim(), `${read.names[1]} ${read.y(near[1])}`.trim(), near[0]];
  };
  // the lines of panels stand in a picture of their own, whose view is what a drag zooms
  const point = (chart, event) => {
    const view = $(".view", chart) || chart, box = view.getBoundingClientRect(), { x, width } = view.viewBox.baseVal;
    return x + ((event.clientX - box.left) / box.width) * width;
  };
  const zoom = (chart, from, to) => {
    for (const view of all(".view", chart.parentElement)) {
      const [x, width, height] = ["x", "width", "height"].map((name) => view.getAttribute(name));
      view.setAttribute("viewBox", `${from ?? x} 0 ${from == null ? width : to - from} ${height}`);
    }
    for (const axis of all(".times", chart.parentElement)) axis.toggleAttribute("hidden", from != null);
  };
  let dragged = null;
  const showReading = (chart, x) => {
    const holder = chart.parentElement;
    const charts = all("svg[data-x]", holder); // panels under one time axis have one cursor
    const said = charts.map((one) => readAt(one, x)).filter(Boolean);
    let place = $(".reading", holder);
    if (!place) holder.append((place = el("output", { class: "reading" })));
    place.textContent = said.length ? `${said[0][0]}: ${said.map((one) => one[1]).join(" · ")}` : "";
    chart.dataset.cursor = said.length ? said[0][2] : x;
  };
  on(document, "pointermove", (event) => {
    const chart = event.target.closest?.("svg[data-x]");
    if (chart) showReading(chart, point(chart, event));
  });
  on(document, "pointerdown", (event) => {
    const chart = event.target.closest?.("svg[data-x]");
    dragged = chart && $(".view", chart) && [chart, point(chart, event)];
    if (dragged) event.preventDefault();
  });
  on(document, "pointerup", (event) => {
    if (!dragged) return;
    const [chart, from] = dragged, to = point(chart, event);
    dragged = null;
    if (Math.abs(to - from) > 4) zoom(chart, Math.min(from, to), Math.max(from, to));
  });
  on(document, "dblclick", (event) => {
    const chart = event.target.closest?.("svg[data-x]");
    if (chart) zoom(chart);
  });
  on(document, "focusin", (event) => {
    if (event.target.matches("svg[data-x]")) showReading(event.target, Number(event.target.dataset.cursor || 0));
  });
  for (const chart of all("svg[data-x]")) chart.setAttribute("tabindex", 0);

  // -- the rows
  const block = $("#data");
  if (!block) return;
  const inflated = async (text) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).text();
  };
  const data = JSON.parse("deflated" in block.dataset ? await inflated(block.textContent) : block.textContent);
  const columns = Object.fromEntries(data.columns.map((column) => [column.name, column]));
  const values = (name) => {
    const column = columns[name];
    if (!column) return null;
    if (!column.values) column.values = column.at.map((place) => column.words[place]);
    return column.values;
  };
  const of = (name, row) => values(name)?.[row] ?? null;
  const time = (row) => of("median_seconds", row);
  const rows = [...Array(data.n).keys()];
  const axes = data.columns.filter((column) => column.name.startsWith("axis:")).map((column) => column.name.slice(5));
  const numeric = data.columns.filter((column) => column.quantity);
  const ids = new Map(values("id").map((id, row) => [id, row]));
  const functionOf = (row) => of("bench", row).split("::").pop().replace(/^bench_/, "");
  const measured = (row) => of("outcome", row) === "passed" && time(row) != null;

  // -- numbers as quantity.py writes them
  const formats = [0, 1, 2, 3, 4, 5, 6, 7, 8].map((n) => new Intl.NumberFormat("en-US", { minimumFractionDigits: n, maximumFractionDigits: n }));
  function digits(value) {
    if (!Number.isFinite(value)) return "–";
    if (value === 0) return "0";
    let exponent = Math.floor(Math.log10(Math.abs(value)));
    if (+(Math.abs(value) / 10 ** exponent).toFixed(2) >= 10) exponent += 1;
    return exponent < -6 ? value.toExponential(2).replace(/e-(\d)$/, "e-0$1") : formats[Math.max(0, 2 - exponent)].format(value);
  }
  const unitFor = (quantity, largest) => {
    const units = data.units[quantity];
    if (!units) return ["", 1];
    if (!largest) return units.find((unit) => unit[1] === 1) || units[0];
    return [units[0], ...units.filter((unit) => largest >= 0.9995 * unit[1])].pop();
  };
  const percent = (ratio) => {
    const shown = (ratio * 100).toFixed(Math.abs(ratio) >= 0.9995 ? 0 : 1);
    return `${Number(shown) ? shown : shown.replace("-", "")} %`;
  };
  const inUnit = (value, unit) => `${digits(value / unit[1])} ${unit[0]}`.trim();
  const alone = (quantity, value) => inUnit(value, unitFor(quantity, Math.abs(value)));
  const faster = (base, mine) => {
    const factor = base / mine, shown = digits(Math.max(factor, 1 / factor));
    return `${shown}× ${shown === "1.00" ? "as fast" : factor > 1 ? "faster" : "slower"}`;
  };

  // -- what a reader chose; only what differs from the default is in the address
  const usual = { q: "", v: "", s: "", sort: "", ref: "eager", cols: "", row: "" };
  const state = { ...usual };
  const readAddress = () => {
    const hash = location.hash.slice(1);
    if (!hash.includes("=")) return false;
    const asked = new URLSearchParams(hash);
    for (const name of Object.keys(usual)) state[name] = asked.get(name) ?? usual[name];
    return true;
  };
  const writeAddress = () => {
    const differing = Object.entries(state).filter(([name, value]) => value !== usual[name]);
    const hash = differing.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&");
    history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
  };

  // -- groups: by bench and all axes but the one of the reference
  let groupOf, groups, bases;
  const others = (row, axis) => [of("bench", row), ...axes.filter((name) => name !== axis).map((name) => of(`axis:${name}`, row))].join("\0");
  const ofReference = () => {
    const [, axis, value] = state.ref.match(/^(?:(.*?):)?(.*)$/s);
    return [axis || "variant", value];
  };
  const nameReference = (axis, value) => (axis === "variant" ? value : `${axis}:${value}`);
  const regroup = () => {
    const [axis, value] = ofReference();
    const at = new Map();
    for (const row of rows) if (of(`axis:${axis}`, row) === value && measured(row)) at.set(others(row, axis), row);
    bases = rows.map((row) => at.get(others(row, axis)));
    if (axis === "variant") {
      groupOf = values("group");
      groups = data.groups.map(([title, said]) => ({ title, said: state.ref === usual.ref ? said : said.replace(/ ?·? ?no ratio: .*/, "") }));
    } else {
      const found = new Map();
      groups = [];
      groupOf = rows.map((row) => {
        const key = others(row, axis);
        if (!found.has(key)) {
          found.set(key, groups.length);
          const shared = axes.filter((name) => name !== axis && of(`axis:${name}`, row)).map((name) => of(`axis:${name}`, row));
          groups.push({ title: functionOf(row), said: shared.join(", "), axis });
        }
        return found.get(key);
      });
    }
    for (const group of groups) group.rows = [];
    for (const row of rows) groups[groupOf[row]].rows.push(row);
  };
  const scale = (rowsOfIt) => {
    const timed = rowsOfIt.filter(measured);
    if (!timed.length) return null;
    const medians = timed.map((row) => time(row)).sort((a, b) => a - b);
    const [low, high] = [medians[0], medians.at(-1)];
    if (low > 0 && high / low > 20) {
      const [from, to] = [Math.log10(low / 1.5), Math.log10(high * 1.5)];
      return { log: true, low: from, high: to, at: (value) => Math.min(1, Math.max(0, (Math.log10(value) - from) / (to - from))) };
    }
    const most = Math.min(timed.reduce((a, row) => Math.max(a, of("p95_seconds", row) ?? 0), high), 1.5 * high) * 1.04 || 1;
    return { log: false, low: 0, high: most, at: (value) => Math.min(1, value / most) };
  };
  const scaleFor = (group) => (group.scale === undefined ? (group.scale = scale(group.rows)) : group.scale);
  const unitIn = (group, name) => {
    group.units ||= {};
    if (!group.units[name]) {
      const largest = group.rows.reduce((most, row) => Math.max(most, Math.abs(of(name, row) ?? 0)), 0);
      group.units[name] = unitFor(columns[name].quantity, largest);
    }
    return group.units[name];
  };

  // -- cells
  const label = (row) => {
    const { axis } = groups[groupOf[row]];
    return state.sort ? `${functionOf(row)} ${of("label", row)}` : axis ? of(`axis:${axis}`, row) : of("label", row);
  };
  const textOf = (name, row) => {
    const value = of(name, row), column = columns[name];
    if (value == null) return "";
    if (name === "rate") return of("rate_of", row) ? `${digits(value)} ${of("rate_of", row)}/s` : digits(value);
    if (column.quantity === "text") return of(`${name}_text`, row);
    if (column.quantity === "ratio") return percent(value);
    if (column.quantity === "count") return digits(value);
    const unit = state.sort ? null : unitIn(groups[groupOf[row]], name);
    return !unit || Math.abs(value) < unit[1] / 1000 ? alone(column.quantity, value) : inUnit(value, unit);
  };
  const share = (value) => `${(Math.max(value, 0) * 100).toFixed(1)}%`;
  const bar = (row) => {
    const measure = state.sort ? flatScale() : scaleFor(groups[groupOf[row]]);
    if (!measure || !measured(row)) return "";
    const at = (name) => share(measure.at(of(name, row) ?? time(row)));
    const kind = bases[row] === row ? "r" : "b";
    return svg("svg", { class: "plot", height: 18, "aria-hidden": "true" },
      measure.log ? svg("circle", { class: kind, cx: at("median_seconds"), cy: 9, r: 4 }) : svg("rect", { class: kind, y: 3, height: 12, width: at("median_seconds") }),
      svg("line", { class: "s", x1: at("p5_seconds"), x2: at("p95_seconds"), y1: 9, y2: 9 }));
  };
  let flat;
  const flatScale = () => (flat === undefined ? (flat = scale(rows)) : flat);
  const axisOf = (group) => {
    const measure = scaleFor(group);
    if (!measure) return "";
    const most = measure.log ? 10 ** measure.high : measure.high;
    const unit = unitIn(group, "median_seconds");
    let marks = [];
    if (measure.log) for (let power = Math.ceil(measure.low); power <= measure.high; power++) marks.push(10 ** power);
    else {
      const power = 10 ** Math.floor(Math.log10(most / 4));
      const step = power * [1, 2, 5, 10, 20].find((by) => most / (power * by) <= 4);
      for (let n = 0; n * step <= most * (1 + 1e-9); n++) marks.push(n * step);
    }
    marks = marks.filter((_, n) => n % Math.max(1, Math.ceil(marks.length / 5)) === 0);
    return svg("svg", { class: "plot axis", height: 15, "aria-hidden": "true" }, marks.map((mark, n) => {
      const at = measure.at(mark);
      const said = Number((mark / unit[1]).toPrecision(6)).toLocaleString("en-US");
      return svg("text", { class: at < 0.04 ? "t0" : at > 0.9 ? "t1" : "tm", x: share(at), y: 11 }, n === marks.length - 1 ? `${said} ${unit[0]}` : said);
    }));
  };
  const line = (row) => {
    const past = of("history", row);
    if (!past) return "";
    const [low, high] = [Math.min(...past), Math.max(...past)];
    const d = past.map((value, n) => `${n ? "L" : "M"}${(2 + (n * 76) / Math.max(past.length - 1, 1)).toFixed(1)} ${(15 - ((value - low) / (high - low || 1)) * 12).toFixed(1)}`).join("");
    const said = `${past.length} sessions, from ${percent(low / 1000)} to ${percent(high / 1000)} of this one`;
    return svg("svg", { class: "trend", width: 80, height: 18, role: "img", "aria-label": said }, svg("title", {}, said), svg("path", { class: "line", d }));
  };
  const note = (row) => [of("kinds", row), of("reason", row)].filter(Boolean).join("; ");
  const verdictCell = (row) => (of("verdict", row) ? el("b", { class: `v-${of("verdict_word", row)}` }, of("verdict", row)) : "");
  //: Every column: its head, whether it is there without being asked for, its cell, and what it sorts by.
  const table = {
    label: { head: "Variant", shown: true, left: true, sort: (row) => `${functionOf(row)} ${of("label", row)}` },
    plot: { head: "Time of one call", shown: true, left: true, cell: bar },
    median_seconds: null,
    change: null,
    verdict: { head: "Verdict", there: "verdict", shown: true, cell: verdictCell, sort: (row) => of("verdict", row) || null },
    spread_ratio: null,
    against: {
      head: "Against", shown: true, cell: (row) => (!measured(row) || bases[row] == null ? "" : bases[row] === row ? "reference" : faster(time(bases[row]), time(row))),
      sort: (row) => (!measured(row) || bases[row] == null ? null : time(row) / time(bases[row])),
    },
  };
  for (const column of numeric)
    table[column.name] = { head: column.head, shown: column.shown, cell: (row) => (measured(row) || column.name === "change" ? textOf(column.name, row) : ""), sort: (row) => of(column.name, row), better: column.better };
  table.history = { head: "Trend", there: "history", shown: true, cell: line };
  table.outcome = { head: "Outcome", cell: (row) => of("outcome", row), sort: (row) => of("outcome", row) };
  table.note = { head: "Caveats", shown: true, left: true, cell: note, sort: (row) => note(row) || null };
  for (const name of Object.keys(table)) if (!table[name] || (table[name].there && !columns[table[name].there])) delete table[name];
  const usually = Object.keys(table).filter((name) => table[name].shown).join(",");
  const chosen = () => (state.cols || usually).split(",").filter((name) => name in table);

  // -- search: words that must be there, -word that must not, field:word
  const fields = { v: "said", s: "outcome", bench: "bench", caveat: "caveats", reason: "reason" };
  let hay;
  const haystack = () => (hay ||= rows.map((row) => [of("file", row) + of("call", row), of("label", row), of("outcome", row), of("caveats", row), ...axes.map((name) => of(`axis:${name}`, row))].join(" ").toLowerCase()));
  const matcher = (text) => {
    const tests = (text.toLowerCase().match(/-?(?:[\w.]+:)?(?:"[^"]*"?|\S+)/g) || []).map((word) => {
      const not = word.length > 1 && word.startsWith("-");
      const [, field, wanted] = (not ? word.slice(1) : word).match(/^(?:([\w.]+):)?(.*)$/s);
      const name = field && (fields[field] || (axes.includes(field) ? `axis:${field}` : null));
      const sought = (name ? wanted : (not ? word.slice(1) : word)).replaceAll('"', "");
      const exact = field === "v" || field === "s";
      const column = name && values(name);
      return (row) => {
        const here = name ? String(column?.[row] ?? "").toLowerCase() : haystack()[row];
        return (exact ? here.split(" ").some((one) => one.startsWith(sought)) : here.includes(sought)) !== not;
      };
    });
    return (row) => tests.every((test) => test(row));
  };

  // -- the table: rows that pass, in order; over 200 of them only those in sight are in the page
  const MOST = 200, PRINTED = 500;
  let view = [], items = [], printing = false, openPanel = null;
  const section = $("#results");
  const live = $("#live"), head = $("#live thead"), body = $("#live tbody");
  const [tools, count, find, reference, picker, plain, asCsv] = ["tools", "count", "find", "reference", "columns", "plain", "csv"].map((id) => $(`#${id}`));

  const sorted = (found) => {
    const name = state.sort.replace(/^-/, ""), down = state.sort.startsWith("-");
    const key = table[name]?.sort;
    if (!key) return found;
    const keys = [], known = [], missing = []; // what is missing comes last, always
    for (const row of found) ((keys[row] = key(row)) == null ? missing : known).push(row);
    const order = typeof keys[known[0]] === "string" ? (a, b) => (keys[a] < keys[b] ? -1 : keys[a] > keys[b] ? 1 : 0) : (a, b) => keys[a] - keys[b];
    return [...known.sort(down ? (a, b) => order(b, a) || a - b : order), ...missing];
  };
  const choose = () => {
    const passes = matcher([state.q, state.v && `v:${state.v}`, state.s && `s:${state.s}`].filter(Boolean).join(" "));
    view = sorted(rows.filter(passes));
    items = [];
    if (state.sort) items = view;
    else {
      if (ofReference()[0] !== "variant") view = view.sort((a, b) => groupOf[a] - groupOf[b] || measured(b) - measured(a) || time(a) - time(b) || a - b);
      let last = -1;
      for (const row of view) {
        if (groupOf[row] !== last) items.push(-1 - (last = groupOf[row]));
        items.push(row);
      }
    }
    count.textContent = `${view.length.toLocaleString("en-US")} of ${data.n.toLocaleString("en-US")} rows`;
  };
  const headRow = (place, names) => {
    const group = groups[place];
    return el("tr", { class: "g" }, el("th", { scope: "rowgroup" }, group.title), el("td", { class: "plot" }, axisOf(group)),
      el("td", { class: "said", colspan: Math.max(names.length - 2, 1) }, [group.said, scaleFor(group)?.log ? "dots on a logarithmic axis" : ""].filter(Boolean).join(" · ")));
  };
  const rowOf = (row, names, place) => {
    const open = of("id", row) === state.row;
    const off = !measured(row);
    return el("tr", { class: `${off ? "off" : bases[row] === row ? "ref" : ""}${open ? " open" : ""}`, "data-row": row, "aria-rowindex": place + 2 },
      names.map((name) => {
        if (name === "label") return el("th", { scope: "row" }, el("button", { type: "button", class: "opens", "aria-expanded": String(open) }, label(row)));
        if (off && name === "median_seconds") return el("td", { class: name }, of("outcome", row) === "passed" ? "not timed" : of("outcome", row));
        const cell = table[name].cell(row);
        return el("td", { class: name, ...(cell === "" || ["plot", "median_seconds", "against", "note", "verdict"].includes(name) ? {} : { "data-k": table[name].head }) }, cell);
      }));
  };
  const panel = (row, names) => {
    const facts = numeric.filter((column) => of(column.name, row) != null);
    const command = `pytest ${quoted(of("file", row) + of("call", row))}`;
    const copy = el("button", { type: "button", class: "copy" }, "copy");
    const drawn = $(`#d-${CSS.escape(of("id", row))}`);
    const kinds = Object.keys(data.meanings).filter((kind) => of("caveats", row).includes(kind));
    const charts = drawn ? all(":scope > .drawing", drawn).map((chart) => chart.cloneNode(true)) : [];
    return el("tr", { class: "panel" }, el("td", { colspan: names.length },
      el("p", {}, el("b", {}, of("call", row).replace(/^::/, "")), ` ${of("outcome", row)}`, [of("caveats", row), of("reason", row)].filter(Boolean).map((said) => `; ${said}`)),
      kinds.map((kind) => el("p", { class: "note" }, `${kind}: ${data.meanings[kind]}`)),
      of("caveats", row).includes("imported from ") ? [] : el("p", { class: "again" }, el("code", {}, command), " ", copy),
      el("dl", { class: "facts" }, facts.map((column) => [el("dt", {}, column.head), el("dd", {}, textOf(column.name, row))])),
      charts.length ? el("div", { class: "grid3" }, charts) : el("p", { class: "note" }, "Its rounds are in the store: charts are drawn for the benches under Distributions.")));
  };
  const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`);

  const heights = () => (phone.matches ? 92 : 27);
  const draw = () => {
    const names = chosen();
    const virtual = !printing && view.length > MOST;
    live.classList.toggle("virtual", virtual);
    live.setAttribute("aria-rowcount", items.length + 1);
    let from = 0, to = printing ? Math.min(items.length, PRINTED) : items.length;
    const height = heights();
    const opened = virtual && state.row ? items.indexOf(ids.get(state.row)) : -1;
    const extra = opened >= 0 ? openPanel?.offsetHeight || 400 : 0;
    if (virtual) {
      const above = Math.max(0, -body.getBoundingClientRect().top);
      const skipped = (pixels) => Math.floor((opened >= 0 && pixels > (opened + 1) * height ? Math.max(pixels - extra, (opened + 1) * height) : pixels) / height);
      from = Math.max(0, skipped(above) - 8);
      to = Math.min(items.length, skipped(above + innerHeight) + 8);
    }
    const pad = (pixels) => {
      const row = el("tr", { class: "pad", "aria-hidden": "true" }, el("td", { colspan: names.length }));
      row.firstChild.style.height = `${pixels}px`;
      return row;
    };
    const shown = [];
    openPanel = null;
    for (let place = from; place < to; place++) {
      const item = items[place];
      shown.push(item < 0 ? headRow(-1 - item, names) : rowOf(item, names, place));
      if (item >= 0 && of("id", item) === state.row) shown.push((openPanel = panel(item, names)));
    }
    if (virtual && from > 0) shown.unshift(pad(from * height + (opened >= 0 && opened < from ? extra : 0)));
    if (virtual && to < items.length) shown.push(pad((items.length - to) * height + (opened >= to ? extra : 0)));
    const focused = body.contains(document.activeElement) ? document.activeElement.closest("tr")?.dataset.row : null;
    body.replaceChildren(...shown);
    if (!items.length) body.append(el("tr", {}, el("td", { colspan: names.length, class: "none" }, "No row matches; Esc clears the filter.")));
    if (focused != null) $(`tr[data-row="${focused}"] .opens`, body)?.focus({ preventScroll: true });
    drawnFrom = virtual ? from : -1;
  };
  let drawnFrom = -1;
  const drawHead = () => {
    head.replaceChildren(el("tr", { "aria-rowindex": 1 }, chosen().map((name) => {
      const column = table[name];
      const said = name === "against" ? `Against ${ofReference()[1]}` : column.head;
      const down = state.sort === `-${name}`, up = state.sort === name;
      return el("th", { scope: "col", class: `${name}${column.left ? " l" : ""}`, "aria-sort": up ? "ascending" : down ? "descending" : column.sort ? "none" : null },
        column.sort ? el("button", { type: "button", "data-sort": name }, said, up ? " ↑" : down ? " ↓" : "") : said);
    })));
  };
  const show = (keep) => {
    find.value = state.q;
    reference.value = state.ref;
    plain.hidden = !state.sort;
    for (const chip of all("[data-v],[data-s]")) chip.setAttribute("aria-current", String(chip.dataset.v ? state.v === chip.dataset.v : state.s === chip.dataset.s));
    if (!keep) { choose(); drawHead(); }
    draw();
  };
  const set = (changes) => {
    Object.assign(state, changes);
    writeAddress();
    if ("ref" in changes) regroup();
    show(Object.keys(changes).every((name) => name === "row"));
  };
  const reveal = (row) => {
    const place = items.indexOf(row);
    if (place < 0) return;
    if (live.classList.contains("virtual")) {
      scrollTo(0, scrollY + body.getBoundingClientRect().top + place * heights() - innerHeight / 3);
      draw();
    }
    const button = $(`tr[data-row="${row}"] .opens`, body);
    button?.focus({ preventScroll: live.classList.contains("virtual") });
    button?.scrollIntoView({ block: "nearest" });
  };
  const toRow = (id) => {
    if (!ids.has(id)) return;
    if (!view.includes(ids.get(id))) Object.assign(state, { q: "", v: "", s: "" });
    set({ row: id });
    choose();
    draw();
    reveal(ids.get(id));
  };

  // -- what a reader does
  const start = () => {
    const pairs = axes.flatMap((axis) => {
      const found = [...new Set(values(`axis:${axis}`))].filter(Boolean);
      return found.length > 1 && found.length <= 30 ? found.map((value) => [axis, value]) : [];
    });
    if (!pairs.some(([axis, value]) => nameReference(axis, value) === usual.ref)) pairs.unshift(["variant", usual.ref]);
    reference.append(...pairs.map(([axis, value]) => el("option", { value: nameReference(axis, value) }, axis === "variant" ? value : `${axis}: ${value}`)));
    const choices = $(".choices", picker);
    for (const name of Object.keys(table).filter((name) => name !== "label"))
      choices.append(el("label", {}, el("input", { type: "checkbox", value: name }), ` ${table[name].head}`));
    tools.hidden = false;
    live.hidden = false;
    $("#static").remove();
    $(".left-out", section)?.remove();
  };
  let waiting = 0;
  on(find, "input", () => { clearTimeout(waiting); waiting = setTimeout(() => set({ q: find.value, row: "" }), 60); });
  on(reference, "change", () => set({ ref: reference.value }));
  on(plain, "click", () => set({ sort: "" }));
  on(picker, "toggle", () => { for (const box of all("input", picker)) box.checked = chosen().includes(box.value); });
  on(picker, "change", () => {
    const wanted = new Set(all("input:checked", picker).map((box) => box.value).concat("label"));
    const cols = Object.keys(table).filter((name) => wanted.has(name)).join(",");
    set({ cols: cols === usually ? "" : cols });
  });
  on(head, "click", (event) => {
    const name = event.target.closest("[data-sort]")?.dataset.sort;
    if (!name) return;
    const first = table[name].better === "higher" || name === "change" ? `-${name}` : name;
    const second = first.startsWith("-") ? name : `-${name}`;
    set({ sort: state.sort === first ? second : state.sort === second ? "" : first });
    $(`[data-sort="${name}"]`, head)?.focus();
  });
  on(body, "click", (event) => {
    const row = event.target.closest("tr[data-row]")?.dataset.row;
    if (event.target.closest(".copy")) return copyCommand(event.target.closest("td"));
    if (row == null || getSelection().toString()) return;
    const id = of("id", Number(row));
    set({ row: state.row === id ? "" : id });
  });
  const copyCommand = async (cell) => {
    const text = $("code", cell).textContent, button = $(".copy", cell);
    try { await navigator.clipboard.writeText(text); button.textContent = "copied"; }
    catch { getSelection().selectAllChildren($("code", cell)); button.textContent = "selected: Ctrl+C"; }
  };
  on(document, "click", (event) => {
    const link = event.target.closest?.("a[href^='#'],[data-v],[data-s]");
    if (!link) return;
    if (link.dataset.row) { event.preventDefault(); return toRow(link.dataset.row); }
    if (link.dataset.v || link.dataset.s) {
      event.preventDefault();
      const [v, s] = [link.dataset.v || "", link.dataset.s || ""];
      set(state.v === v && state.s === s ? { v: "", s: "", row: "" } : { v, s, row: "" });
      return section.scrollIntoView();
    }
    const target = document.getElementById(link.getAttribute("href").slice(1));
    if (!target) return;
    event.preventDefault(); // the address keeps what was chosen
    (target.matches("details") ? target : target.closest("details"))?.setAttribute("open", "");
    target.scrollIntoView();
  });
  on(asCsv, "click", () => {
    const cell = (text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    const safe = (text) => (/^[=+@\t\r-]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text); // a sheet must not run a name
    const names = data.columns.filter((column) => !["group", "history"].includes(column.name)).map((column) => column.name);
    const lines = [names.map((name) => cell(name.replace("axis:", "axis_"))), ...view.map((row) => names.map((name) => cell(safe(String(of(name, row) ?? "")))))];
    const link = el("a", { download: "modelbench-rows.csv", href: URL.createObjectURL(new Blob([lines.map((line) => line.join(",") + "\r\n").join("")], { type: "text/csv" })) });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  });
  let framed = false;
  const scrolled = () => {
    if (framed || !live.classList.contains("virtual")) return;
    framed = true;
    requestAnimationFrame(() => { framed = false; draw(); });
  };
  on(window, "scroll", scrolled, { passive: true });
  on(window, "resize", scrolled);
  on(phone, "change", () => draw());
  on(window, "beforeprint", () => { printing = true; draw(); });
  on(window, "afterprint", () => { printing = false; draw(); });
  on(window, "hashchange", () => { if (readAddress()) { regroup(); show(); if (state.row) reveal(ids.get(state.row)); } });

  const help = $("#help");
  const step = (by) => {
    const now = Number(document.activeElement.closest?.("tr[data-row]")?.dataset.row ?? NaN);
    const shownRows = items.filter((item) => item >= 0);
    const place = shownRows.indexOf(now);
    reveal(shownRows[place < 0 ? 0 : Math.min(Math.max(place + by, 0), shownRows.length - 1)]);
  };
  on(document, "keydown", (event) => {
    const typing = event.target.matches("input[type=search],select,textarea");
    if (event.key === "Escape" && !help.open) {
      if (picker.open) picker.open = false;
      else if (typing || !state.row) { set({ q: "", v: "", s: "", row: "" }); find.blur(); }
      else set({ row: "" });
      return;
    }
    if (typing || event.ctrlKey || event.metaKey || event.altKey || help.open) return;
    const chart = event.target.closest?.("svg[data-x]");
    if (chart && (event.key === "ArrowRight" || event.key === "ArrowLeft")) {
      const there = [...new Set(reading(chart).points.map((one) => one[0]))].sort((a, b) => a - b);
      const now = there.findIndex((x) => x >= Number(chart.dataset.cursor || 0));
      event.preventDefault();
      return showReading(chart, there[Math.min(Math.max(now + (event.key === "ArrowRight" ? 1 : -1), 0), there.length - 1)]);
    }
    const sections = all("nav a");
    const row = Number(document.activeElement.closest?.("tr[data-row]")?.dataset.row ?? NaN);
    const keys = {
      "/": () => find.focus(), j: () => step(1), k: () => step(-1), "?": () => help.showModal(),
      r: () => { const value = of("axis:variant", row); if (value) set({ ref: value }); },
      c: () => { if (openPanel && $(".copy", openPanel)) copyCommand($("td", openPanel)); },
    };
    if (/^[1-9]$/.test(event.key)) sections[event.key - 1]?.click();
    else if (keys[event.key]) { event.preventDefault(); keys[event.key](); }
  });
  on($("#help button"), "click", () => help.close());

  if (!section) return;
  if (phone.matches) $(".how").open = false;
  start();
  readAddress();
  regroup();
  show();
  if (state.row) reveal(ids.get(state.row));
  document.documentElement.dataset.ready = "";
})();
