import { render } from 'lit';
import { Kafka, logLevel } from '../src/index.js';
import { defineStreamInspector } from '../src/inspector/index.js';
import { BRIEF_FLIGHTS, FLIGHTS } from './scenarios/datasets.js';
import { NO_FLIGHTS, sameStatistics, withFlights } from './scenarios/flight-statistics.js';
import { Leadership } from './scenarios/leadership.js';
import { checkLog } from './scenarios/log-check.js';
import { Progress } from './scenarios/progress.js';
import { Replay } from './scenarios/replay.js';
import { ReplayControl } from './scenarios/replay-control.js';
import { StartOver } from './scenarios/start-over.js';
import { StatisticsGroup } from './scenarios/statistics-group.js';
import { createTopics } from './scenarios/topics.js';
import { VisitorEvents } from './scenarios/visitor-events.js';
import { type CheckState, type Demo, fatal, page } from './view.js';

const app = document.querySelector<HTMLElement>('#app');
if (app) await open(app);

async function open(root: HTMLElement): Promise<void> {
  defineStreamInspector();
  const kafka = new Kafka({ clientId: 'demo', logLevel: logLevel.WARN });
  const ended = new AbortController();
  const { signal } = ended;
  let check: CheckState = { stage: 'none' };
  const opening = [...root.childNodes];
  const draw = drawSoon(() => {
    if (signal.aborted) return;
    for (const node of opening.splice(0)) node.remove();
    render(page(demo), root);
  });

  const control = new ReplayControl(kafka, draw);
  const flights = new Replay(FLIGHTS, kafka, control, draw);
  const briefFlights = new Replay(BRIEF_FLIGHTS, kafka, control, draw);
  const statistics = new StatisticsGroup(kafka, draw);
  const startOver = new StartOver(kafka, () => ended.abort());
  const demo: Demo = {
    kafka,
    startOver: () => startOver.run(),
    control,
    statistics,
    leadership: new Leadership(kafka, draw),
    visitor: new VisitorEvents(kafka, draw),
    replays: [
      { replay: flights, progress: new Progress(kafka, FLIGHTS, draw) },
      { replay: briefFlights, progress: new Progress(kafka, BRIEF_FLIGHTS, draw) },
    ],
    get check() {
      return check;
    },
    async runCheck() {
      check = { stage: 'running' };
      draw();
      const results = [await checkLog(kafka, FLIGHTS), await checkLog(kafka, BRIEF_FLIGHTS)];
      const rows = await FLIGHTS.load();
      const expected = withFlights(NO_FLIGHTS, rows);
      const statisticsAgree =
        results[0]?.rows === rows.length ? sameStatistics(expected, statistics.statistics) : undefined;
      check = { stage: 'done', results, statisticsAgree };
      draw();
    },
  };

  try {
    await createTopics(kafka);
    demo.leadership.start(signal);
    for (const { progress } of demo.replays) progress.start(signal);
    await Promise.all([control.start(signal), demo.visitor.start(signal), statistics.start(signal)]);
    flights.start(signal);
    briefFlights.start(signal);
    draw();
  } catch (error) {
    ended.abort();
    for (const node of opening.splice(0)) node.remove();
    render(fatal(error instanceof Error ? error.message : String(error)), root);
    throw error;
  }
}

/** Draws in the next frame, once for all changes until then. */
function drawSoon(draw: () => void): () => void {
  let isDue = false;
  return () => {
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(() => {
      isDue = false;
      draw();
    });
  };
}
