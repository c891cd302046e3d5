// A table that is a table on a desk, and a card for each line on a phone. Roles are said, because a style sheet that shows a row as a
// card takes them away from some screen readers.

import type { ReactNode } from "react";
import { count } from "./format";
import { texts } from "./texts";

export interface Column<T> {
  title: string;
  cell: (line: T) => ReactNode;
  /** Numbers stand at the end. */
  isNumber?: boolean;
}

export function List<T>(properties: {
  title: string;
  columns: Column<T>[];
  lines: T[];
  keyOf: (line: T) => string | number;
  /** What stands under a line. */
  below?: (line: T) => ReactNode;
}) {
  const { title, columns, lines, keyOf, below } = properties;
  return (
    <table role="table" aria-label={title}>
      <thead role="rowgroup">
        <tr role="row">
          {columns.map((column) => (
            <th key={column.title} role="columnheader" scope="col" data-number={column.isNumber}>
              {column.title}
            </th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {lines.map((line) => {
          const more = below?.(line);
          return [
            <tr key={keyOf(line)} role="row">
              {columns.map((column) => (
                <td key={column.title} role="cell" data-title={column.title} data-number={column.isNumber}>
                  {column.cell(line)}
                </td>
              ))}
            </tr>,
            more && (
              <tr key={`${keyOf(line)} below`} role="row" className="below">
                <td role="cell" colSpan={columns.length}>
                  {more}
                </td>
              </tr>
            ),
          ];
        })}
      </tbody>
    </table>
  );
}

/** Goes through a list a page at a time. */
export function Pager(properties: { from: number; shown: number; found: number; go: (from: number) => void; lines: number }) {
  const { from, shown, found, go, lines } = properties;
  if (found <= shown && from === 0) return null;
  return (
    <p className="pager">
      <button type="button" disabled={from === 0} onClick={() => go(Math.max(0, from - lines))}>
        {texts.previous}
      </button>
      <span role="status">{texts.rangeOf(count(Math.min(from + 1, found)), count(from + shown), count(found))}</span>
      <button type="button" disabled={from + shown >= found} onClick={() => go(from + lines)}>
        {texts.next}
      </button>
    </p>
  );
}

/** As many lines as the server gives at a time. */
export const PAGE_LINES = 50;
