import { useEffect, useState, type MouseEvent } from "react";
import { ApiError, get, hasToken, reasonOf, setToken, type Overview as Answer, type Session } from "./api";
import { Doctor } from "./Doctor";
import { Events } from "./Events";
import { hrefOf, tabs, useRoute } from "./route";
import { Overview } from "./Overview";
import { Rooms } from "./Rooms";
import { SignIn } from "./SignIn";
import { Sockets } from "./Sockets";
import { Sources } from "./Sources";
import { texts } from "./texts";
import { useFigures } from "./useFigures";
import { usePolled } from "./usePolled";

const OVERVIEW_MS = 1_000;
const RETRY_MS = 1_000;

type Access = { session: Session } | { wants: "token" } | { waits: string } | null;

export function App() {
  const [access, again] = useAccess();
  if (access && "session" in access) return <Frame session={access.session} signOut={again} />;
  return (
    <div className="door">
      <header>
        <h1>
          Rowcast <span>{texts.title}</span>
        </h1>
      </header>
      {access === null ? (
        <main className="quiet">{texts.loading}</main>
      ) : "wants" in access ? (
        <SignIn done={again} />
      ) : (
        <main>
          <p role="status">{access.waits}</p>
        </main>
      )}
    </div>
  );
}

function Frame({ session, signOut }: { session: Session; signOut: () => void }) {
  const route = useRoute();
  const overview = usePolled<Answer>("overview", OVERVIEW_MS);
  const figures = useFigures(overview.data);
  const state = stateOf(overview.data);
  useEffect(() => {
    document.title = `${texts.tabs[route.tab]} · Rowcast ${texts.title}`;
    // On a phone the tabs are wider than the screen.
    document.querySelector("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [route.tab]);
  return (
    <div className="app">
      <a className="skip" href="#main" onClick={skip}>
        {texts.skip}
      </a>
      <header>
        <h1>
          Rowcast <span>{texts.title}</span>
        </h1>
        <p className="version">{session.version}</p>
        {state && (
          <p className="pill" data-state={state} role="status">
            {texts.states[state]}
          </p>
        )}
        {session.token !== null && hasToken() && (
          <p className="who">
            <span>{texts.signedInAs(session.token)}</span>
            <button
              type="button"
              className="plain"
              onClick={() => {
                setToken(null);
                signOut();
              }}
            >
              {texts.signOut}
            </button>
          </p>
        )}
      </header>
      <nav aria-label={texts.sections}>
        <ul>
          {tabs.map((tab) => (
            <li key={tab}>
              <a href={hrefOf(tab)} aria-current={tab === route.tab ? "page" : undefined}>
                {texts.tabs[tab]}
              </a>
            </li>
          ))}
        </ul>
      </nav>
      {overview.problem && (
        <p className="notice" role="alert">
          {texts.stale(overview.problem)}
        </p>
      )}
      <main id="main" tabIndex={-1} data-tab={route.tab}>
        {route.tab === "overview" && <Overview overview={overview.data} figures={figures} />}
        {route.tab === "sources" && <Sources />}
        {route.tab === "rooms" && <Rooms key={route.item} room={route.item} write={session.write} />}
        {route.tab === "sockets" && <Sockets key={route.item} socket={route.item} write={session.write} />}
        {route.tab === "events" && <Events write={session.write} />}
        {route.tab === "doctor" && <Doctor />}
      </main>
    </div>
  );
}

/** What the server lets this page do, asked until it answers. */
function useAccess(): [Access, () => void] {
  const [access, setAccess] = useState<Access>(null);
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const unmount = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const ask = async (): Promise<void> => {
      try {
        const session = await get<Session>("session", unmount.signal);
        if (!unmount.signal.aborted) setAccess({ session });
      } catch (error) {
        if (unmount.signal.aborted) return;
        if (error instanceof ApiError && error.status === 401) return setAccess({ wants: "token" });
        const starting = error instanceof ApiError ? error.starting : undefined;
        const waits = starting
          ? `${texts.starting}. ${texts.startingAt(starting.check, starting.cause)}`
          : texts.stale(reasonOf(error));
        setAccess({ waits });
        timer = setTimeout(() => void ask(), RETRY_MS);
      }
    };
    const signedOut = (): void => {
      setToken(null);
      setAccess({ wants: "token" });
    };
    addEventListener("rowcast:signed-out", signedOut);
    void ask();
    return () => {
      unmount.abort();
      clearTimeout(timer);
      removeEventListener("rowcast:signed-out", signedOut);
    };
  }, [turn]);
  return [access, () => setTurn((turn) => turn + 1)];
}

function stateOf(overview: Answer | undefined): "ready" | "degraded" | "unready" | null {
  if (!overview) return null;
  if (overview.checks.some((check) => check.state === "failing")) return "unready";
  return overview.checks.some((check) => check.state === "degraded") ? "degraded" : "ready";
}

/** The address stays: it says which tab is open. */
function skip(event: MouseEvent): void {
  event.preventDefault();
  document.getElementById("main")?.focus();
}
