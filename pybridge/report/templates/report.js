'use strict';
(() => {
  const gallery = document.getElementById('gallery');
  const figures = [...gallery.querySelectorAll('figure')];
  const cells = [...document.querySelectorAll('button[data-true]')];
  const about = document.getElementById('about');

  function show(wanted, message) {
    for (const figure of figures) figure.hidden = !wanted(figure.dataset);
    about.textContent = message;
  }

  function showAllWrong() {
    for (const cell of cells) cell.setAttribute('aria-pressed', 'false');
    show((picture) => picture.true !== picture.said, about.dataset.default);
  }

  function showCell(button) {
    for (const cell of cells) cell.setAttribute('aria-pressed', String(cell === button));
    const { true: truth, said } = button.dataset;
    const inCell = (picture) => picture.true === truth && picture.said === said;
    const count = figures.filter((figure) => inCell(figure.dataset)).length;
    const label = button.getAttribute('aria-label').replace(/: show images$/, '');
    show(inCell, `${label}. Shown: ${count}.`);
    document.getElementById('images').scrollIntoView({ block: 'start' });
  }

  function turn(event) {
    figures.reverse();
    gallery.append(...figures);
    const button = event.currentTarget;
    const least = button.textContent.startsWith('Least');
    button.textContent = least ? 'Most confident first' : 'Least confident first';
  }

  function sortBy(table, column, header) {
    const descending = header.getAttribute('aria-sort') !== 'descending';
    for (const other of table.tHead.rows[0].cells) other.removeAttribute('aria-sort');
    header.setAttribute('aria-sort', descending ? 'descending' : 'ascending');
    const valueOf = (row) => {
      const cell = row.cells[column];
      return cell.dataset.value === undefined ? cell.textContent : Number(cell.dataset.value);
    };
    const compare = (a, b) => (typeof a === 'number' ? a - b : a.localeCompare(b));
    const body = table.tBodies[0];
    const rows = [...body.rows].sort((a, b) => compare(valueOf(a), valueOf(b)) * (descending ? -1 : 1));
    body.append(...rows);
  }

  for (const cell of cells) cell.addEventListener('click', () => showCell(cell));
  if (figures.length > 0) {
    document.querySelector('.controls').hidden = false;
    document.getElementById('all-wrong').addEventListener('click', showAllWrong);
    document.getElementById('turn').addEventListener('click', turn);
  }
  for (const table of document.querySelectorAll('table[data-sortable]')) {
    [...table.tHead.rows[0].cells].forEach((header, column) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.append(...header.childNodes);
      header.append(button);
      button.addEventListener('click', () => sortBy(table, column, header));
    });
  }
})();
