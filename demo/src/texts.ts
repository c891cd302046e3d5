// What the page says, in Spanish or English.

import { en as kitEn, es as kitEs, type MessageStatus, type Texts as KitTexts } from "@rowcast/client";

interface Texts {
  kit: KitTexts;
  skip: string;
  conversations: string;
  noConversations: string;
  loadingConversations: string;
  stale: (reason: string) => string;
  unread: string;
  openConversation: string;
  contactId: string;
  open: string;
  badContactId: string;
  choose: string;
  welcome: string;
  back: string;
  messages: string;
  loading: string;
  /** This page's own visitor among them. */
  here: (count: number) => string;
  emptyConversation: string;
  hint: string;
  sqlHint: string;
  copy: string;
  copied: string;
  copyByHand: string;
  older: string;
  loadingOlder: string;
  newMessages: (count: number) => string;
  earlierMessages: (count: number) => string;
  toNewest: string;
  showAll: string;
  truncated: string;
  /** By the provider's name of it. */
  kinds: Record<string, string>;
  unknownKind: (type: string) => string;
  noText: string;
  agent: string;
  bot: string;
  ticks: Record<MessageStatus, string>;
  message: string;
  send: string;
  tryBot: string;
  botPlays: string;
  unreachable: string;
  tooManyRequests: string;
  refused: (reason: string) => string;
  notSent: (reason: string) => string;
  retry: string;
  discard: string;
  botFailed: (reason: string) => string;
  tooLong: (most: string) => string;
}

const es: Texts = {
  kit: kitEs,
  skip: "Ir a la conversación",
  conversations: "Conversaciones",
  noConversations: "Todavía no hay conversaciones.",
  loadingConversations: "Cargando conversaciones...",
  stale: (reason) => `La lista no se actualiza: ${reason}`,
  unread: "sin leer",
  openConversation: "Abrir conversación",
  contactId: "Id de contacto",
  open: "Abrir",
  badContactId: "Un id de contacto tiene de 1 a 500 bytes.",
  choose: "Elige una conversación",
  welcome: "Aquí llegarán los mensajes",
  back: "Conversaciones",
  messages: "Mensajes",
  loading: "Cargando...",
  here: (count) => (count === 1 ? "1 persona aquí" : `${count} personas aquí`),
  emptyConversation: "Todavía no hay mensajes aquí.",
  hint: "Inserta una fila y la verás llegar. En una terminal:",
  sqlHint: "Inserta una fila y la verás llegar. En la base de datos:",
  copy: "Copiar",
  copied: "Copiado",
  copyByHand: "Está seleccionado: cópialo con el teclado.",
  older: "Mensajes anteriores",
  loadingOlder: "Cargando mensajes anteriores...",
  newMessages: (count) => (count === 1 ? "1 mensaje nuevo" : `${count} mensajes nuevos`),
  earlierMessages: (count) => (count === 1 ? "1 mensaje anterior" : `${count} mensajes anteriores`),
  toNewest: "Ir al último mensaje",
  showAll: "Mostrar todo",
  truncated: "El mensaje es demasiado grande para mostrarlo aquí.",
  kinds: {
    image: "Foto",
    video: "Vídeo",
    audio: "Audio",
    document: "Documento",
    sticker: "Sticker",
    location: "Ubicación",
    contacts: "Contacto",
    reaction: "Reacción",
    order: "Pedido",
    unsupported: "Un mensaje que WhatsApp no entrega",
    unknown: "Un mensaje que WhatsApp no entrega",
  },
  unknownKind: (type) => `Mensaje desconocido (${type})`,
  noText: "Mensaje sin texto",
  agent: "Agente",
  bot: "Bot",
  ticks: { queued: "En cola", sent: "Enviado", delivered: "Entregado", read: "Leído", failed: "Fallido" },
  message: "Mensaje",
  send: "Enviar",
  tryBot: "Probar el bot",
  botPlays: "El bot responde...",
  unreachable: "el servidor no responde.",
  tooManyRequests: "son demasiadas peticiones por segundo.",
  refused: (reason) => `el servidor dice: ${reason}`,
  notSent: (reason) => `No se ha enviado: ${reason}`,
  retry: "Reintentar",
  discard: "Descartar",
  botFailed: (reason) => `El bot no ha podido responder: ${reason}`,
  tooLong: (most) => `un mensaje tiene como mucho ${most} caracteres.`,
};

const en: Texts = {
  kit: kitEn,
  skip: "Skip to the conversation",
  conversations: "Conversations",
  noConversations: "No conversations yet.",
  loadingConversations: "Loading conversations...",
  stale: (reason) => `The list is not up to date: ${reason}`,
  unread: "unread",
  openConversation: "Open a conversation",
  contactId: "Contact id",
  open: "Open",
  badContactId: "A contact id has 1 to 500 bytes.",
  choose: "Choose a conversation",
  welcome: "Messages will arrive here",
  back: "Conversations",
  messages: "Messages",
  loading: "Loading...",
  here: (count) => (count === 1 ? "1 person here" : `${count} people here`),
  emptyConversation: "No messages here yet.",
  hint: "Insert a row and see it arrive. In a terminal:",
  sqlHint: "Insert a row and see it arrive. In the database:",
  copy: "Copy",
  copied: "Copied",
  copyByHand: "It is selected: copy it with the keyboard.",
  older: "Older messages",
  loadingOlder: "Loading older messages...",
  newMessages: (count) => (count === 1 ? "1 new message" : `${count} new messages`),
  earlierMessages: (count) => (count === 1 ? "1 earlier message" : `${count} earlier messages`),
  toNewest: "Go to the newest message",
  showAll: "Show all",
  truncated: "The message is too large to be shown here.",
  kinds: {
    image: "Picture",
    video: "Video",
    audio: "Audio",
    document: "Document",
    sticker: "Sticker",
    location: "Location",
    contacts: "Contact",
    reaction: "Reaction",
    order: "Order",
    unsupported: "A message that WhatsApp does not deliver",
    unknown: "A message that WhatsApp does not deliver",
  },
  unknownKind: (type) => `Unknown message (${type})`,
  noText: "Message without text",
  agent: "Agent",
  bot: "Bot",
  ticks: { queued: "Queued", sent: "Sent", delivered: "Delivered", read: "Read", failed: "Failed" },
  message: "Message",
  send: "Send",
  tryBot: "Try the bot",
  botPlays: "The bot replies...",
  unreachable: "the server does not answer.",
  tooManyRequests: "too many requests in a second.",
  refused: (reason) => `the server says: ${reason}`,
  notSent: (reason) => `Not sent: ${reason}`,
  retry: "Try again",
  discard: "Discard",
  botFailed: (reason) => `The bot could not reply: ${reason}`,
  tooLong: (most) => `a message has at most ${most} characters.`,
};

const isEnglish = /^en\b/i.test(navigator.language);

export const language = isEnglish ? "en" : "es";
export const texts = isEnglish ? en : es;
/** For dates and numbers: the visitor's region where its language is the page's. */
export const locale = navigator.language.toLowerCase().startsWith(language) ? navigator.language : language;
