import type { Status } from "./state.js";

/** What the two badges say. */
export interface Texts {
  connection: Record<Status, string>;
  typing: string;
}

/** Spanish: the default. */
export const es: Texts = {
  connection: {
    connecting: "Conectando...",
    connected: "Tiempo real",
    polling: "Actualizando cada pocos segundos",
    offline: "Sin conexión",
  },
  typing: "Escribiendo...",
};

/** English. */
export const en: Texts = {
  connection: {
    connecting: "Connecting...",
    connected: "Live",
    polling: "Updating every few seconds",
    offline: "Offline",
  },
  typing: "Typing...",
};
