// Line charts over records. The horizontal axis counts records, so that a busy day is as wide as a quiet month.
"use strict";

const Charts = (() => {
  const drawn = new Map();
  const HEIGHT = 260;

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

  /** A line where both engines are equal. */
  function unity(chart) {
    const y = chart.valToPos(1, "y", true);
    const { left, top, width, height } = chart.bbox;
    if (y < top || y > top + height) return;
    chart.ctx.save();
    chart.ctx.strokeStyle = colour("soft");
    chart.ctx.setLineDash([6, 4]);
    chart.ctx.beginPath();
    chart.ctx.moveTo(left, y);
    chart.ctx.lineTo(left + width, y);
    chart.ctx.stroke();
    chart.ctx.restore();
  }

  function options(box, spec) {
    const axis = { stroke: colour("soft"), grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line") } };
    const label = (place) => spec.labels[place];
    return {
      width: box.clientWidth,
      height: HEIGHT,
      // The last date stands half outside.
      padding: [null, 40, null, null],
      scales: { x: { time: false }, y: { range: spec.range } },
      axes: [
        { ...axis, values: (_, places) => places.map((place) => label(place)?.slice(0, 10) ?? ""), space: 90, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500] },
        { ...axis, size: 64, values: (_, values) => values.map(shown) },
      ],
      series: [
        { label: "record", value: (_, place) => label(place) ?? "" },
        ...spec.lines.map((line, i) => ({
          label: line.label,
          stroke: line.faint ? "transparent" : colour(`series-${(i % 6) + 1}`),
          width: 2,
          points: { show: line.values.length < 60 && !line.faint },
          value: (_, value) => (value === null ? "" : shown(value)),
          spanGaps: true,
        })),
      ],
      bands: spec.band ? [{ series: [2, 3], fill: `${colour("series-1")}33` }] : [],
      hooks: { draw: spec.isRatio ? [unity] : [] },
      legend: { live: true },
    };
  }

  function shown(value) {
    if (value === null || value === undefined) return "";
    if (Math.abs(value) >= 1e6) return `${(value / 1e6).toPrecision(3)} M`;
    if (Math.abs(value) >= 1e4) return `${(value / 1e3).toPrecision(3)} k`;
    return String(Number(value.toPrecision(3)));
  }

  /** From nothing to a little over the largest: a chart whose axis does not begin at zero exaggerates. */
  const fromZero = (_, __, most) => [0, (most || 1) * 1.1];

  /**
   * Draws `spec` in the element of that id, in place of what was there.
   * spec: { lines: [{label, values, faint}], labels, commits, isRatio, band }
   */
  function draw(id, spec) {
    const box = document.getElementById(id);
    drawn.get(id)?.chart.destroy();
    box.replaceChildren();
    const full = { range: fromZero, ...spec };
    const places = spec.labels.map((_, place) => place);
    const chart = new uPlot(options(box, full), [places, ...spec.lines.map((line) => line.values)], box);
    drawn.set(id, { chart, spec });
    chart.over.addEventListener("dblclick", () => {
      const commit = spec.commits?.[chart.cursor.idx];
      if (commit) window.open(commit, "_blank", "noopener");
    });
  }

  /** Draws all again, in the colours of now. */
  function redraw() {
    for (const [id, { spec }] of [...drawn]) draw(id, spec);
  }

  function resize() {
    for (const [id, { chart }] of drawn) {
      chart.setSize({ width: document.getElementById(id).clientWidth, height: HEIGHT });
    }
  }

  return { draw, redraw, resize, shown };
})();
