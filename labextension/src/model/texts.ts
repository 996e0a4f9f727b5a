import type { TranslationBundle } from '@jupyterlab/translation';

/** A sentence of the server: the English template and the arguments of its places `%1`, `%2`. */
export interface ISentence {
  text: string;
  arguments: string[];
}

/**
 * What the server says, in the language of the host. Sentences that the catalogue does not have stay
 * English; so does the text of a server that sends no sentences.
 */
export function translated(
  sentences: ISentence[] | undefined,
  english: string,
  trans: TranslationBundle
): string {
  if (sentences === undefined) {
    return english;
  }
  return sentences.map(s => trans._p('server', s.text, ...s.arguments)).join(' ');
}

/** What the server says of a fault or a refusal. */
export interface IFaultTexts {
  message: string;
  /** The sentences of `message`, for other languages; absent in an older server's answer. */
  message_parts?: ISentence[];
  remedy?: string;
  remedy_parts?: ISentence[];
}

/** What is wrong, in the language of the host. */
export function messageOf(fault: IFaultTexts, trans: TranslationBundle): string {
  return translated(fault.message_parts, fault.message, trans);
}

/** What to do about it. */
export function remedyOf(fault: IFaultTexts, trans: TranslationBundle): string {
  return translated(fault.remedy_parts, fault.remedy ?? '', trans);
}

/** The message when a file with code of the panel cannot be loaded. */
export function notLoaded(trans: TranslationBundle): string {
  return trans.__(
    'A part of Auto Shutdown could not be loaded. After an update of Auto Shutdown, reload the page.'
  );
}
