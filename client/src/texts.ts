import type { Status } from "./state.js";

/** Why a conversation is not connected: what `state.error` is. A server that is newer than the kit may have others. */
export type ErrorCode =
  | "not_configured"
  | "unreachable"
  | "no_token"
  | "unauthorized"
  | "token_expired"
  | "forbidden"
  | "origin_not_allowed"
  | "host_not_allowed"
  | "too_many_connections"
  | "too_many_requests"
  | "too_many_rooms"
  | "unavailable"
  | "auth_too_large"
  | "bad_request"
  | "not_found";

/** What the badges say. */
export interface Texts {
  connection: Record<Status, string>;
  typing: string;
  /** The same of somebody whose name is known. */
  typist: (name: string) => string;
  errors: Record<ErrorCode, string>;
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
  typist: (name) => `${name} está escribiendo...`,
  errors: {
    not_configured: "Falta la dirección del servidor",
    unreachable: "No se puede contactar con el servidor",
    no_token: "No se ha podido comprobar tu sesión; se volverá a intentar",
    unauthorized: "Tu sesión no es válida: inicia sesión de nuevo",
    token_expired: "Tu sesión ha caducado: inicia sesión de nuevo",
    forbidden: "No tienes acceso a esta conversación",
    origin_not_allowed: "El servidor no admite esta página",
    host_not_allowed: "El servidor no admite esta dirección",
    too_many_connections: "Hay demasiadas conexiones; se volverá a intentar",
    too_many_requests: "Demasiadas peticiones; se volverá a intentar",
    too_many_rooms: "Hay demasiadas conversaciones abiertas",
    unavailable: "El servidor no está disponible; se volverá a intentar",
    auth_too_large: "Los datos de tu sesión son demasiado grandes",
    bad_request: "El servidor no ha entendido la petición",
    not_found: "El servidor no tiene conversaciones",
  },
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
  typist: (name) => `${name} is typing...`,
  errors: {
    not_configured: "The server's address is missing",
    unreachable: "The server can't be reached",
    no_token: "Your session could not be checked; it will be tried again",
    unauthorized: "Your session is not valid: sign in again",
    token_expired: "Your session has expired: sign in again",
    forbidden: "You have no access to this conversation",
    origin_not_allowed: "The server does not accept this page",
    host_not_allowed: "The server does not accept this address",
    too_many_connections: "There are too many connections; it will be tried again",
    too_many_requests: "Too many requests; it will be tried again",
    too_many_rooms: "Too many conversations are open",
    unavailable: "The server is not available; it will be tried again",
    auth_too_large: "The data of your session are too large",
    bad_request: "The server did not understand the request",
    not_found: "The server has no conversations",
  },
};
