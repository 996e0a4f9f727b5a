import type { TranslationBundle } from '@jupyterlab/translation';

import { clock, duration } from './durations';

/** A text, a length of time, an instant, or the sentences of another text. */
export type Argument = string | { seconds: number } | { at: string } | { parts: ISentence[] };

/** A sentence of the server: the English template, and the arguments for `%1`, `%2`. */
export interface ISentence {
  text: string;
  arguments: Argument[];
}

function argumentText(argument: Argument, trans: TranslationBundle): string {
  if (typeof argument === 'string') {
    return argument;
  }
  if ('seconds' in argument) {
    return duration(argument.seconds * 1000, trans);
  }
  return 'at' in argument ? clock(argument.at) : translated(argument.parts, '', trans);
}

/**
 * Translate a text of the server. A sentence that the catalogue does not contain stays English, and
 * so does the text of an older server, which sends no `sentences`.
 */
export function translated(
  sentences: ISentence[] | undefined,
  english: string,
  trans: TranslationBundle
): string {
  if (sentences === undefined) {
    return english;
  }
  return sentences
    .map(s => trans._p('server', s.text, ...s.arguments.map(a => argumentText(a, trans))))
    .join(' ');
}

/** The facts of a reason. Some are texts of the server, and `parameter_parts` has their sentences. */
interface IFacts {
  parameters: { [name: string]: string };
  parameter_parts?: { [name: string]: ISentence[] };
}

/** A translated text among the parameters of a reason. */
export function parameterOf(
  { parameters, parameter_parts }: IFacts,
  name: string,
  trans: TranslationBundle
): string {
  return translated(parameter_parts?.[name], parameters[name] ?? '', trans);
}

/** The texts of a fault or of a refused request. */
export interface IFaultTexts {
  message: string;
  /** The sentences of `message`; an older server does not send them. */
  message_parts?: ISentence[];
  remedy?: string;
  remedy_parts?: ISentence[];
}

/** The translated message of a fault: the problem. */
export function messageOf(fault: IFaultTexts, trans: TranslationBundle): string {
  return translated(fault.message_parts, fault.message, trans);
}

/** The translated remedy of a fault: the action that solves the problem. */
export function remedyOf(fault: IFaultTexts, trans: TranslationBundle): string {
  return translated(fault.remedy_parts, fault.remedy ?? '', trans);
}
