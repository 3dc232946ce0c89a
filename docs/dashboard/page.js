// The page: what is chosen, and what is shown of it.
"use strict";

(() => {
  const element = (id) => document.getElementById(id);
  const chosen = { program: null, counts: null, budgets: null };
  let engine = "puc54";
  let selected = [];

  const percent = (value) => (value === null ? "" : `${value > 0 ? "+" : ""}${(value * 100).toFixed(1)}%`);
  const ratio = (value) => (value === null || value === undefined ? "–" : value.toFixed(2));
  const mebibytes = (value) => (value === null ? "" : `${(value / 1048576).toFixed(1)}`);
  const short = (id) => id.slice(0, 10);
  const judged = (value) => (value > 1 ? "losing" : value !== null && value < 1 ? "winning" : "");

  function link(commit) {
    const anchor = Tables.cell("a", short(commit.id));
    anchor.href = Model.commitUrl(commit);
    return anchor;
  }

  function choices(id, values, value, all) {
    const options = values.map((name) => new Option(name, name, false, name === value));
    element(id).replaceChildren(...(all ? [new Option(all, "")] : []), ...options);
  }

  const newest = () => selected[selected.length - 1];
  const record = () => Model.records[newest()];
  const labels = () => selected.map((place) => {
    const { date, head } = Model.records[place];
    return `${date.slice(0, 10)} ${short(head.id)} ${head.subject}`;
  });
  const commits = () => selected.map((place) => Model.commitUrl(Model.records[place].head));

  function line(id, lines, more) {
    Charts.draw(id, { lines, labels: labels(), commits: commits(), ...more });
  }

  function card(value, what, name) {
    const box = Tables.cell("div", "", "card");
    box.append(Tables.cell("div", value, `value ${name ?? ""}`), Tables.cell("div", what, "what"));
    return box;
  }

  function showSummary() {
    const { head, base, date, means, runs, regressions, engines } = record();
    const title = Tables.cell("div", "", "wide");
    title.append("Newest: ", link(head), ` ${head.subject} (${date.slice(0, 10)}, ${runs} runs), against `, link(base));
    const cards = Object.entries(means).map(([name, mean]) => {
      const aside = mean.cpu_held_out === null ? "" : `, held out ${ratio(mean.cpu_held_out)}`;
      const memory = mean.peak === null ? "" : `, memory ${ratio(mean.peak)}`;
      const box = card(ratio(mean.cpu), `to ${name}${aside}${memory}`, judged(mean.cpu));
      box.title = engines[name] ?? "";
      return box;
    });
    const losing = Model.programRows(newest(), engine, {}).filter((row) => row.ratio > 1).length;
    cards.push(card(String(losing), `programs lose to ${engine}`, losing ? "losing" : "winning"));
    const worse = regressions.map((text) => Tables.cell("li", text, "losing"));
    const list = Tables.cell("ul", "", "wide");
    list.append(...worse);
    element("summary").replaceChildren(title, ...cards, ...(worse.length ? [list] : []));
  }

  function showMeans() {
    const lines = Model.engines().map((name) => ({ label: name, values: Model.meanLine(name, selected) }));
    line("means-chart", lines, { isRatio: true });
  }

  function filter() {
    return {
      text: element("filter").value.trim(),
      class: element("class").value,
      losing: element("losing").checked,
      aside: element("aside").checked,
    };
  }

  function showProgram() {
    const name = chosen.program;
    element("program-title").textContent = name ? `${name} to ${engine}` : "";
    if (!name) return;
    const { middle, low, high } = Model.programLine(name, engine, selected);
    const lines = [
      { label: "ratio", values: middle },
      { label: "high", values: high, faint: true },
      { label: "low", values: low, faint: true },
    ];
    line("program-chart", lines, { isRatio: true, band: true });
  }

  function showPrograms() {
    const rows = Model.programRows(newest(), engine, filter());
    const others = Model.engines().filter((name) => name !== engine);
    const columns = [
      { title: "program", key: (row) => row.name, show: (row) => row.name + (row.heldOut ? " *" : "") },
      {
        title: engine,
        key: (row) => row.ratio,
        show: (row) => (row.ratio === null ? row.failure ?? "–" : ratio(row.ratio)),
        name: (row) => judged(row.ratio),
      },
      { title: "spread", key: (row) => row.spread, show: (row) => (row.spread === null ? "" : `±${(row.spread * 50).toFixed(1)}%`) },
      ...others.map((name) => ({
        title: name,
        key: (row) => row.ratios[name],
        show: (row) => ratio(row.ratios[name]),
        name: (row) => judged(row.ratios[name]),
      })),
      { title: "peak MiB", key: (row) => row.peak, show: (row) => mebibytes(row.peak) },
    ];
    if (!rows.some((row) => row.name === chosen.program)) chosen.program = rows[0]?.name ?? null;
    Tables.fill("programs", columns, rows, {
      isChosen: (row) => row.name === chosen.program,
      choose: (row) => {
        chosen.program = row.name;
        showProgram();
      },
    });
    showProgram();
  }

  /** Counts or budgets: a table and the line of its chosen row. */
  function showNumbers(kind, title, chart) {
    const rows = Model.numberRows(kind, newest());
    const draw = () => {
      element(title).textContent = chosen[kind] ?? "";
      if (!chosen[kind]) return;
      line(chart, [{ label: chosen[kind], values: Model.numberLine(kind, chosen[kind], selected) }], {});
    };
    const columns = [
      { title: "name", key: (row) => row.name, show: (row) => row.name },
      { title: "now", key: (row) => row.value, show: (row) => row.value?.toLocaleString("en") ?? "–" },
      { title: "base", key: (row) => row.base, show: (row) => row.base?.toLocaleString("en") ?? "–" },
      {
        title: "change",
        key: (row) => row.change,
        show: (row) => percent(row.change),
        name: (row) => (row.change > 0.02 ? "losing" : row.change < -0.02 ? "winning" : ""),
      },
    ];
    chosen[kind] ??= rows[0]?.name ?? null;
    Tables.fill(kind, columns, rows, {
      isChosen: (row) => row.name === chosen[kind],
      choose: (row) => {
        chosen[kind] = row.name;
        draw();
      },
    });
    draw();
  }

  function showRecords() {
    const rows = selected.map((place) => Model.records[place]).reverse();
    const mean = (row, name) => row.means[name]?.cpu ?? null;
    const columns = [
      { title: "date", key: (row) => row.date, show: (row) => row.date.replace("T", " ").replace("Z", "") },
      { title: "commit", key: (row) => row.head.id, show: (row) => link(row.head) },
      { title: "base", key: (row) => row.base.id, show: (row) => link(row.base) },
      ...Model.engines().map((name) => ({
        title: `to ${name}`,
        key: (row) => mean(row, name),
        show: (row) => ratio(mean(row, name)),
        name: (row) => judged(mean(row, name)),
      })),
      { title: "regressions", key: (row) => row.regressions.length, show: (row) => String(row.regressions.length) },
      { title: "subject", key: (row) => row.head.subject, show: (row) => row.head.subject, name: () => "words" },
    ];
    Tables.fill("records", columns, rows);
  }

  function showImported() {
    const series = Model.imported();
    element("imported-section").hidden = series.length === 0;
    if (series.length === 0) return;
    if (!element("imported").options.length) choices("imported", series.map((one) => one.name), series[0].name);
    const one = series.find((candidate) => candidate.name === element("imported").value) ?? series[0];
    Charts.draw("imported-chart", {
      lines: [{ label: one.unit || one.name, values: one.values }],
      labels: one.dates.map((date, i) => `${date.slice(0, 10)} ${one.commits[i]?.message ?? ""}`),
      commits: one.commits.map((commit) => commit?.url),
    });
  }

  function showAll() {
    showImported();
    const isEmpty = Model.records.length === 0;
    element("empty").hidden = !isEmpty;
    for (const section of document.querySelectorAll("main > section:not(#imported-section)")) section.hidden = isEmpty;
    if (isEmpty) return;
    selected = Model.places(element("machine").value);
    engine = element("engine").value;
    showSummary();
    showMeans();
    showPrograms();
    showNumbers("counts", "count-title", "count-chart");
    showNumbers("budgets", "budget-title", "budget-chart");
    showRecords();
  }

  function isDark() {
    const theme = document.documentElement.dataset.theme;
    return theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  }

  function start() {
    const machines = Model.machines();
    choices("machine", machines, machines[0]);
    choices("engine", Model.engines(), Model.engines().includes(engine) ? engine : Model.engines()[0]);
    choices("class", Model.classes(), "", "all");
    const last = Model.records[Model.records.length - 1];
    if (last) element("updated").textContent = `Updated ${last.date.slice(0, 10)}.`;
    for (const id of ["machine", "engine"]) element(id).addEventListener("change", showAll);
    for (const id of ["class", "losing", "aside"]) element(id).addEventListener("change", showPrograms);
    element("filter").addEventListener("input", showPrograms);
    element("imported").addEventListener("change", showImported);
    element("controls").addEventListener("submit", (event) => event.preventDefault());
    element("theme").addEventListener("click", () => {
      document.documentElement.dataset.theme = isDark() ? "light" : "dark";
      Charts.redraw();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", Charts.redraw);
    addEventListener("resize", Charts.resize);
    showAll();
  }

  start();
})();
