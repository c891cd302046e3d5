/** Calls the application's listeners. What one throws is reported as an error that nobody caught, and stops nothing. */
export function call<T>(listeners: Iterable<(payload: T) => void>, payload?: T): void {
  for (const listener of [...listeners]) {
    try {
      listener(payload!);
    } catch (error) {
      void Promise.reject(error);
    }
  }
}
