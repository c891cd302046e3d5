import { useState } from "react";
import { post, reasonOf, type Report } from "./api";
import { Paste } from "./Paste";
import { texts } from "./texts";

/** What rowcast doctor finds. */
export function Doctor() {
  const [report, setReport] = useState<Report | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [isLooking, setLooking] = useState(false);

  async function examine(): Promise<void> {
    setLooking(true);
    setProblem(null);
    try {
      setReport(await post<Report>("doctor", {}));
    } catch (error) {
      setProblem(reasonOf(error));
    }
    setLooking(false);
  }

  const number = (level: string): number => report?.findings.filter((finding) => finding.level === level).length ?? 0;
  const order = { failure: 0, warning: 1, ok: 2 };
  const findings = [...(report?.findings ?? [])].sort((one, other) => order[one.level] - order[other.level]);
  return (
    <section>
      <h2>{texts.tabs.doctor}</h2>
      <p className="quiet-line">{texts.doctorHint}</p>
      <p>
        <button type="button" aria-disabled={isLooking} onClick={() => !isLooking && void examine()}>
          {texts.examine}
        </button>
      </p>
      <p role="status">{isLooking ? texts.examining : report && texts.findings(number("failure"), number("warning"))}</p>
      {problem && (
        <p className="problem" role="alert">
          {problem}
        </p>
      )}
      <ul className="cards findings">
        {findings.map((finding, at) => (
          <li key={at} className="card" data-level={finding.level} data-check={finding.check}>
            <h3>
              <span className="level">{texts.levels[finding.level]}</span> <code>{finding.check}</code>
            </h3>
            <p lang="en">{finding.said}</p>
            {finding.means && <p lang="en">{finding.means}</p>}
            {finding.paste && <Paste title={texts.mend} text={finding.paste} />}
          </li>
        ))}
      </ul>
    </section>
  );
}
