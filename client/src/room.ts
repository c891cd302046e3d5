const CONVERSATION = "conversation:";

/** The room of a contact. */
export const roomOf = (contactId: string | number): string => CONVERSATION + contactId;

/** What a room is called after its kind: the `contactId` of its events. */
export const idOf = (room: string): string => room.slice(room.indexOf(":") + 1);

export const isConversation = (room: string): boolean => room.startsWith(CONVERSATION);

/** By which word a server knows a room, and by which name: `join:conversation` has the contact id, `join:room` the whole room. */
export const nameOf = (room: string): ["conversation" | "room", string] =>
  isConversation(room) ? ["conversation", idOf(room)] : ["room", room];
