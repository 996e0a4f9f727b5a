/** How long at most a press keeps the rows where they are, in milliseconds. */
export const LONGEST_PRESS = 10_000;

/**
 * Whether the main button of a pointer is pressed inside `node`.
 *
 * A browser sends a click to an element only if the button was pressed and released over it. An
 * element that moves or goes between the two makes the click miss. So the panel draws nothing new
 * until the button is released.
 */
export class Press {
  /** `page` receives the release, which may come outside `node`; `onRelease` is called after it. */
  constructor(
    node: EventTarget,
    page: EventTarget,
    private readonly _onRelease: () => void
  ) {
    node.addEventListener('pointerdown', event => this._onDown(event as PointerEvent), true);
    page.addEventListener('pointerup', this._onUp, true);
    page.addEventListener('pointercancel', this._onUp, true);
  }

  get active(): boolean {
    return this._active;
  }

  /** Resolves once no button is pressed. The click that ends a press comes before. */
  released(): Promise<void> {
    return this._active
      ? new Promise(resolve => {
          this._waiting.push(resolve);
        })
      : Promise.resolve();
  }

  private _onDown({ button }: PointerEvent): void {
    if (button === 0) {
      this._active = true;
      clearTimeout(this._timer);
      this._timer = setTimeout(() => this._end(), LONGEST_PRESS);
    }
  }

  /** The browser sends the click right after this event: wait for it. */
  private readonly _onUp = (): void => {
    if (this._active) {
      clearTimeout(this._timer);
      this._timer = setTimeout(() => this._end(), 0);
    }
  };

  private _end(): void {
    this._active = false;
    this._waiting.splice(0).forEach(resolve => resolve());
    this._onRelease();
  }

  private _active = false;
  private _timer: ReturnType<typeof setTimeout> | undefined;
  private readonly _waiting: (() => void)[] = [];
}
