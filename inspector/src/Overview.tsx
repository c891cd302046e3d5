import type { ReactNode } from "react";
import type { Check, Overview as Answer } from "./api";
import { bytes, count, lasting, millis, rate, share } from "./format";
import { hrefOf } from "./route";
import { texts } from "./texts";
import type { Figures } from "./useFigures";

/** The server at a glance. */
export function Overview({ overview, figures }: { overview: Answer | undefined; figures: Figures | null }) {
  if (!overview) return <p className="quiet">{texts.loading}</p>;
  return (
    <>
      <section>
        <h2>{texts.readiness}</h2>
        <Checks checks={overview.checks} />
      </section>
      <section>
        <h2>{texts.figures}</h2>
        <Grid overview={overview} figures={figures} />
      </section>
      <section>
        <h2>{texts.servers}</h2>
        <Servers overview={overview} />
      </section>
    </>
  );
}

function Checks({ checks }: { checks: Check[] }) {
  const amiss = checks.filter((check) => check.state !== "ok");
  const well = checks.filter((check) => check.state === "ok");
  const nameOf = (check: Check): string => texts.checks[check.check]?.name ?? check.check;
  return (
    <>
      {amiss.length === 0 && <p className="well">{texts.allWell}</p>}
      <ul className="cards">
        {amiss.map((check) => (
          <li key={check.check} className="card" data-level={check.state === "failing" ? "failure" : "warning"}>
            <h3>
              <span className="level">{texts.checkStates[check.state]}</span> {nameOf(check)} <code>{check.check}</code>
            </h3>
            {check.causes.map((cause) => (
              <p key={cause} lang="en">
                {cause}
              </p>
            ))}
            <p className="remedy">
              <strong>{texts.whatToDo}:</strong> {texts.checks[check.check]?.remedy}
              {check.check === "sources" && (
                <>
                  {" "}
                  <a href={hrefOf("sources")}>{texts.tabs.sources}</a>
                </>
              )}
            </p>
          </li>
        ))}
      </ul>
      <details>
        <summary>{amiss.length === 0 ? texts.everyCheck(well.length) : texts.passing(well.length)}</summary>
        <ul className="passing">
          {well.map((check) => (
            <li key={check.check}>
              {nameOf(check)} <code>{check.check}</code>
            </li>
          ))}
        </ul>
      </details>
    </>
  );
}

function Grid({ overview, figures }: { overview: Answer; figures: Figures | null }) {
  const { sockets, outbox } = overview;
  const latency = (ms: number | null | undefined): string => {
    if (ms === null || ms === undefined) return texts.nothingYet;
    return ms === Infinity ? texts.beyond(millis(overview.commitToBroadcast.boundsMs.at(-1) ?? 0)) : millis(ms);
  };
  const hasLatency = figures !== null && figures.p50 !== null;
  return (
    <dl className="figures">
      <Figure name={texts.sockets} value={count(sockets.total)} id="sockets">
        {texts.socketsBy(count(sockets.websocket), count(sockets.polling))}
        <br />
        {texts.behindNow(count(sockets.behind), bytes(sockets.waitingBytes))}
      </Figure>
      <Figure name={texts.rooms} value={count(sockets.rooms)} id="rooms">
        {sockets.looked < sockets.total && texts.sample(count(sockets.looked), count(sockets.total))}
      </Figure>
      <Figure name={texts.deliveries} value={rate(figures?.deliveries, "…")} id="deliveries">
        {texts.deliveriesAll(count(overview.deliveries))}
      </Figure>
      <Figure name={texts.eventsRead} value={rate(figures?.events, "…")} id="events">
        {texts.deliveriesAll(count(overview.eventsRead))}
      </Figure>
      <Figure
        name={texts.latency}
        value={hasLatency ? `${latency(figures.p50)} · ${latency(figures.p99)}` : texts.nothingYet}
        id="latency"
      >
        {hasLatency && (figures.isOfMinute ? texts.latencyOverMinute : texts.latencySinceStart)}
      </Figure>
      <Figure name={texts.lag} value={overview.lagMs === null ? texts.unknown : millis(overview.lagMs)} id="lag">
        {texts.lagEvents(count(overview.lagEvents))}
      </Figure>
      <Figure name={texts.outbox} value={bytes(outbox.bytes)} id="outbox">
        {texts.outboxRows(count(outbox.rows))}
      </Figure>
      <Figure name={texts.notifyQueue} value={texts.notifyQueueFull(share(overview.notifyQueue))} id="queue" />
      <Figure name={texts.uptime} value={lasting(overview.uptimeMs)} id="uptime">
        {texts.slowConsumers(count(overview.slowConsumers))}
        <br />
        {texts.captureErrors(count(overview.captureErrors))}
      </Figure>
    </dl>
  );
}

function Figure({ name, value, id, children }: { name: string; value: string; id: string; children?: ReactNode }) {
  return (
    <div data-figure={id}>
      <dt>{name}</dt>
      <dd>
        <strong>{value}</strong>
        {children && <span>{children}</span>}
      </dd>
    </div>
  );
}

function Servers({ overview }: { overview: Answer }) {
  if (overview.servers === null) return <p className="problem">{texts.serversUnknown(overview.serversUnknown ?? "")}</p>;
  if (overview.servers.length === 0) return <p>{texts.noServers}</p>;
  return (
    <ul className="servers">
      {overview.servers.map((server, at) => (
        <li key={at}>
          <strong>{server.address === "this machine" ? texts.thisMachine : server.address}</strong> {texts.serverFor(lasting(server.seconds * 1000))}
        </li>
      ))}
    </ul>
  );
}
