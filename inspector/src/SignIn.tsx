import { useState, type FormEvent } from "react";
import { ApiError, get, reasonOf, setToken, type Session } from "./api";
import { texts } from "./texts";

/** Asks for the token, and tries it. */
export function SignIn({ done }: { done: () => void }) {
  const [token, setTyped] = useState("");
  const [problem, setProblem] = useState<string | null>(null);

  async function signIn(event: FormEvent): Promise<void> {
    event.preventDefault();
    if (!token.trim()) return;
    setToken(token.trim());
    try {
      await get<Session>("session", new AbortController().signal);
      done();
    } catch (error) {
      setToken(null);
      setProblem(error instanceof ApiError && error.status === 401 ? texts.signInWrong : reasonOf(error));
    }
  }

  return (
    <main className="sign-in">
      <h2>{texts.signIn}</h2>
      <p>{texts.signInWhy}</p>
      <form onSubmit={(event) => void signIn(event)}>
        <label>
          {texts.token}
          <input
            type="password"
            autoComplete="current-password"
            value={token}
            onChange={(event) => setTyped(event.target.value)}
          />
        </label>
        <button type="submit">{texts.signInDo}</button>
      </form>
      {problem && (
        <p className="problem" role="alert">
          {problem}
        </p>
      )}
    </main>
  );
}
