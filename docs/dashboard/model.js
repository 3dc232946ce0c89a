// What the page shows, computed from the columns of history.js. Nothing here touches the document.
"use strict";

const Model = (() => {
  const empty = { repository: "", records: [], programs: {}, counts: {}, budgets: {} };
  const history = window.PERF_HISTORY || empty;

  const machineName = (machine) => `${machine.cpu}, ${machine.cores} cores, ${machine.arch} ${machine.os}`;

  /** The machines that records are of, the newest record's first. */
  function machines() {
    return [...new Set(history.records.map((record) => machineName(record.machine)).reverse())];
  }

  /** Places of the records of a machine, oldest first. */
  function places(machine) {
    const all = history.records.map((record, place) => [record, place]);
    return all.filter(([record]) => machineName(record.machine) === machine).map(([, place]) => place);
  }

  /** The engines that Perilune is compared with: peers first, then the commit before. */
  function engines() {
    const names = new Set(history.records.flatMap((record) => Object.keys(record.means)));
    return [...names].sort((a, b) => (a === "base") - (b === "base") || a.localeCompare(b));
  }

  const classes = () => [...new Set(Object.values(history.programs).map((program) => program.class))].sort();

  const at = (column, place) => (column ? column[place] ?? null : null);

  /** A row per program for one record. */
  function programRows(place, engine, filter) {
    const rows = [];
    for (const [name, program] of Object.entries(history.programs)) {
      const ratios = {};
      for (const [other, column] of Object.entries(program.ratios)) ratios[other] = at(column, place);
      const ratio = ratios[engine] ?? null;
      if (filter.text && !name.includes(filter.text)) continue;
      if (filter.class && program.class !== filter.class) continue;
      if (filter.aside && !program.heldOut) continue;
      if (filter.losing && !(ratio > 1)) continue;
      const spread = at(program.spread, place);
      const peak = at(program.peak, place);
      rows.push({ name, heldOut: program.heldOut, ratio, ratios, spread, peak, failure: program.failure });
    }
    return rows;
  }

  /** A program's ratio to an engine over records, with the band that the spread of its runs makes. */
  function programLine(name, engine, selected) {
    const program = history.programs[name];
    const middle = selected.map((place) => at(program.ratios[engine], place));
    const half = selected.map((place) => (at(program.spread, place) ?? 0) / 2);
    const band = (sign) => middle.map((ratio, i) => (ratio === null ? null : ratio * (1 + sign * half[i])));
    return { middle, low: band(-1), high: band(1) };
  }

  const meanLine = (engine, selected) =>
    selected.map((place) => history.records[place].means[engine]?.cpu ?? null);

  /** Rows of `counts` or `budgets` for one record. */
  function numberRows(kind, place) {
    return Object.entries(history[kind]).map(([name, numbers]) => {
      const value = at(numbers.head, place);
      const change = value !== null && numbers.base ? value / numbers.base - 1 : null;
      return { name, value, base: numbers.base, change };
    });
  }

  const numberLine = (kind, name, selected) =>
    selected.map((place) => at(history[kind][name].head, place));

  const commitUrl = (commit) => `${history.repository}/commit/${commit.id}`;

  /** Series of data.js that the records do not give themselves, as name and points. */
  function imported() {
    const series = [];
    for (const [suite, entries] of Object.entries(window.BENCHMARK_DATA?.entries ?? {})) {
      if (suite === "Perilune" && history.records.length > 0) continue;
      const names = new Set(entries.flatMap((entry) => entry.benches.map((bench) => bench.name)));
      for (const name of names) {
        const found = entries.map((entry) => entry.benches.find((bench) => bench.name === name));
        const unit = found.find((bench) => bench)?.unit ?? "";
        series.push({
          name: `${suite}: ${name}`,
          unit,
          dates: entries.map((entry) => new Date(entry.date).toISOString()),
          commits: entries.map((entry) => entry.commit),
          values: found.map((bench) => bench?.value ?? null),
        });
      }
    }
    return series;
  }

  return {
    records: history.records, machines, places, engines, classes, programRows, programLine, meanLine,
    numberRows, numberLine, commitUrl, imported,
  };
})();
