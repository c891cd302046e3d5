import type { Sources as Answer } from "./api";
import { Paste } from "./Paste";
import { rate } from "./format";
import { texts } from "./texts";
import { usePolled } from "./usePolled";

const PAUSE_MS = 5_000;

/** The attached tables, and what mends what is wrong with them. */
export function Sources() {
  const { data, problem } = usePolled<Answer>("sources", PAUSE_MS);
  return (
    <section>
      <h2>{texts.tabs.sources}</h2>
      {problem && <p className="problem">{texts.stale(problem)}</p>}
      {!data && !problem && <p className="quiet">{texts.loading}</p>}
      {data?.unknown && (
        <p className="problem" lang="en">
          {data.unknown}
        </p>
      )}
      {data && !data.unknown && data.sources.length === 0 && <p className="quiet">{texts.noSources}</p>}
      <ul className="cards">
        {data?.sources.map((source) => (
          <li key={source.source} className="card" data-source={source.source} data-level={source.problems.length ? "failure" : "ok"}>
            <h3>
              <span className="level">
                {source.problems.length ? texts.sourceProblems(source.problems.length) : texts.sourceWell}
              </span>{" "}
              <code>{source.source}</code>
              {source.relation && source.relation !== source.source && !source.source.endsWith(`.${source.relation}`) && (
                <small> {texts.asRelation(source.relation)}</small>
              )}
            </h3>
            {source.problems.map((problem) => (
              <div key={problem.said} className="mend">
                <p lang="en">{problem.said}</p>
                <p lang="en">{problem.means}</p>
                <Paste title={texts.mend} text={problem.paste} />
              </div>
            ))}
            <dl className="facts">
              <div>
                <dt>{texts.sourceRooms}</dt>
                <dd>
                  {source.rooms.map((room) => (
                    <code key={room}>{room}</code>
                  ))}
                </dd>
              </div>
              <div>
                <dt>{texts.sourcePace}</dt>
                <dd>{rate(source.eventsPerSecond)}</dd>
              </div>
              <div>
                <dt>{texts.sourceOrder}</dt>
                <dd>{source.orderColumn ? <code>{source.orderColumn}</code> : texts.byKey}</dd>
              </div>
              <div className="wide">
                <dt>{texts.sourceRules}</dt>
                <dd>
                  {source.events.map((rule) => (
                    <code key={rule}>{rule}</code>
                  ))}
                </dd>
              </div>
            </dl>
          </li>
        ))}
      </ul>
    </section>
  );
}
