"use strict";
(() => {
  const table = document.querySelector("table.layers");
  const bodies = [...table.tBodies];
  const heads = [...table.tHead.rows[0].cells];
  const search = document.getElementById("search");
  const found = document.getElementById("found");
  const all = document.getElementById("all");

  // --- narrow pages lay rows out as cards: a table it stays for who does not see it

  table.setAttribute("role", "table");
  for (const part of table.querySelectorAll("thead, tbody")) part.setAttribute("role", "rowgroup");
  for (const row of table.rows) {
    row.setAttribute("role", "row");
    for (const cell of row.cells) {
      const role = cell.tagName === "TD" ? "cell" : cell.scope === "col" ? "columnheader" : "rowheader";
      cell.setAttribute("role", role);
    }
  }

  // --- details of a row: closed, but where there are no scripts

  const open = (body, shown) => {
    const button = body.querySelector("button.open");
    if (!button) return;
    button.setAttribute("aria-expanded", String(shown));
    body.rows[1].hidden = !shown;
  };
  table.addEventListener("click", (event) => {
    const button = event.target.closest("button.open");
    if (button) open(button.closest("tbody"), button.getAttribute("aria-expanded") !== "true");
  });
  if (all) all.addEventListener("click", () => {
    const shown = all.getAttribute("aria-pressed") !== "true";
    all.setAttribute("aria-pressed", String(shown));
    for (const body of bodies) open(body, shown);
  });

  // --- order: numbers as numbers, what is not known last

  const value = (body, column) => {
    const cell = body.rows[0].cells[column];
    return cell.dataset.v === undefined ? cell.textContent.trim() : cell.dataset.v;
  };
  const compare = (a, b) => {
    if (a === "" || b === "") return (a === "") - (b === "");
    const [x, y] = [Number(a), Number(b)];
    return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b, undefined, { numeric: true }) : x - y;
  };
  const sort = (column) => {
    const head = heads[column];
    const number = head.classList.contains("num") && column > 0;
    const before = head.getAttribute("aria-sort");
    const descending = before === "none" ? number : before === "ascending";
    for (const other of heads) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const keyed = bodies.map((body) => [value(body, column), body]);
    keyed.sort(([a], [b]) => {
      const order = compare(a, b);
      return descending && a !== "" && b !== "" ? -order : order;
    });
    table.append(...keyed.map(([, body]) => body));
  };
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => sort(column)));

  // --- which rows are shown

  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const chosen = document.querySelector("input[name=filter]:checked");
    const kind = chosen ? chosen.value : "";
    let count = 0;
    for (const body of bodies) {
      const shown = words.every((word) => body.dataset.name.includes(word))
        && (!kind || body.dataset.kind.split(" ").includes(kind));
      body.hidden = !shown;
      count += shown;
    }
    found.textContent = count === bodies.length ? `${count} rows` : `${count} of ${bodies.length} rows`;
  };
  search.addEventListener("input", filter);
  for (const radio of document.querySelectorAll("input[name=filter]")) radio.addEventListener("change", filter);
})();
