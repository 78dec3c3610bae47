/** What a person gave as a reason, or as a name, is no text for the record. */
export class ReasonRefused extends Error {
  constructor() {
    super('a reason may not have twelve digits in a row: they could be a card number, and it stays on record')
    this.name = 'ReasonRefused'
  }
}

/** Free texts of people go on records that nobody can change. Throws `ReasonRefused`, which doesn't repeat the text. */
export function checkReason({ who, why }: { readonly who: string; readonly why: string }): void {
  if ([who, why].some((text) => /\d(?:[ -]?\d){11}/.test(text))) throw new ReasonRefused()
}
