import { type Feature, PEERS, type Peer, type PeerCell, type Proof } from './feature.js';
import type { Hazard } from './hazard.js';
import type { TestReport } from './report.js';

const peers = Object.keys(PEERS) as Peer[];

/** The feature table as Markdown: our column from what the tests did, the peers' with what was read. */
export function renderTable(features: readonly Feature[], report: TestReport): string {
  const titles = ['', 'epgen', 'its tests', ...peers.map((peer) => PEERS[peer].title)];
  const rows = features.map((feature) => [
    feature.name,
    passes(feature, report) ? feature.ours : NOT_SHOWN,
    folded(feature.tests),
    ...peers.map((peer) => peerText(peer, feature.peers[peer])),
  ]);
  return markdownTable(titles, rows);
}

/** The table of hazards as Markdown, for a file in this folder. */
export function renderHazards(hazards: readonly Hazard[], report: TestReport): string {
  const rows = hazards.map((hazard) => [
    hazard.name,
    passes(hazard, report) ? hazard.tried : NOT_SHOWN,
    proofLinks(hazard.tests, '../../'),
  ]);
  return markdownTable(['', 'what is tried', 'by'], rows);
}

const NOT_SHOWN = '**not shown**';

/** Whether every one of `tests` has passed. */
export function passes(
  { tests }: { readonly tests: readonly Proof[] },
  report: TestReport,
): boolean {
  return tests.every(([file, test]) => report.files[file]?.[test] === 'passed');
}

function markdownTable(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(titles), line(titles.map(() => '---')), ...rows.map(line)].join('\n');
}

function proofLinks(tests: readonly Proof[], toRoot: string): string {
  return tests.map(([file, test]) => `[${escaped(test)}](${toRoot}${file})`).join('<br>');
}

/** Their names take a page of a column that narrow: where HTML is shown, one asks for them. */
function folded(tests: readonly Proof[]): string {
  const links = proofLinks(tests, '');
  if (tests.length < 2) return links;
  return `<details><summary>${tests.length} tests</summary>${links}</details>`;
}

function peerText(peer: Peer, [text, path, line]: PeerCell): string {
  if (path === undefined) return text;
  const { repo, commit } = PEERS[peer];
  const place = line === undefined ? '' : `#L${line}`;
  return `[${escaped(text)}](https://github.com/${repo}/blob/${commit}/${path}${place})`;
}

function escaped(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('[', '\\[').replaceAll(']', '\\]');
}

const BEGIN = '<!-- features: npm run features -->';
const END = '<!-- /features -->';

/** `readme` with the table between its marks. */
export function withTable(readme: string, table: string): string {
  const begin = readme.indexOf(BEGIN);
  const end = readme.indexOf(END);
  if (begin < 0 || end < begin) throw new Error(`Expected ${BEGIN} and ${END} in the README`);
  return `${readme.slice(0, begin + BEGIN.length)}\n\n${table}\n\n${readme.slice(end)}`;
}
