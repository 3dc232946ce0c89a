// Tables that sort by their columns and of which a row can be chosen.
"use strict";

const Tables = (() => {
  const orders = new Map();

  function cell(tag, content, name) {
    const element = document.createElement(tag);
    if (content instanceof Node) element.append(content);
    else element.textContent = content ?? "";
    if (name) element.className = name;
    return element;
  }

  /** Absent values come last, in either direction. */
  function compare(a, b, sign) {
    if (a === null || a === undefined) return b === null || b === undefined ? 0 : 1;
    if (b === null || b === undefined) return -1;
    return sign * (typeof a === "string" ? a.localeCompare(b) : a - b);
  }

  function sorted(rows, columns, order) {
    if (!order) return rows;
    const column = columns[order.column];
    return [...rows].sort((a, b) => compare(column.key(a), column.key(b), order.sign));
  }

  /**
   * Fills a table.
   * columns: [{ title, key: row => sortable, show: row => text or node, name: row => class }]
   * choice: { isChosen: row => boolean, choose: row => void }, or nothing
   */
  function fill(id, columns, rows, choice) {
    const table = document.getElementById(id);
    const order = orders.get(id);
    const again = () => fill(id, columns, rows, choice);
    const heading = document.createElement("tr");
    columns.forEach((column, place) => {
      const title = cell("th", column.title);
      title.scope = "col";
      if (order?.column === place) title.setAttribute("aria-sort", order.sign > 0 ? "ascending" : "descending");
      title.addEventListener("click", () => {
        const sign = order?.column === place ? -order.sign : 1;
        orders.set(id, { column: place, sign });
        again();
      });
      heading.append(title);
    });
    table.tHead.replaceChildren(heading);
    table.tBodies[0].replaceChildren(...sorted(rows, columns, order).map((row) => {
      const line = document.createElement("tr");
      for (const column of columns) line.append(cell("td", column.show(row), column.name?.(row)));
      if (choice) {
        line.tabIndex = 0;
        line.classList.toggle("chosen", choice.isChosen(row));
        const choose = () => {
          choice.choose(row);
          again();
        };
        line.addEventListener("click", choose);
        line.addEventListener("keydown", (event) => event.key === "Enter" && choose());
      }
      return line;
    }));
  }

  return { fill, cell };
})();
