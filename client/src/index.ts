export { Conversation } from "./conversation.js";
export type { Fetcher, Options, TokenSource } from "./options.js";
export type * from "./protocol.js";
export { ConversationSocket, type Listener } from "./socket.js";
export type { ConversationState, Status } from "./state.js";
export { en, es, type ErrorCode, type Texts } from "./texts.js";
