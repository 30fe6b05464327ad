/** Clock: the time in a sound that is playing, to the millisecond, for whatever follows it. */

/** What is played, paused and scrubbed. Seconds. */
export interface Clock {
  readonly duration: number;
  readonly time: number;
  readonly playing: boolean;
  play(): void;
  pause(): void;
  seek(seconds: number): void;
}

/** The longest that a browser leaves `currentTime` as it is while it plays, seconds. */
const LONGEST_STEP = 0.25;

/** The clock of an audio element. Browsers step `currentTime`; between steps real time goes on. */
export class SoundClock implements Clock {
  private stepped = 0;
  private since = 0;

  constructor(
    private readonly audio: HTMLAudioElement,
    readonly duration: number,
  ) {}

  get time(): number {
    const { currentTime } = this.audio;
    const now = performance.now() / 1000;
    if (currentTime !== this.stepped || !this.playing) {
      this.stepped = currentTime;
      this.since = now;
    }
    return Math.min(currentTime + Math.min(now - this.since, LONGEST_STEP), this.duration);
  }

  get playing(): boolean {
    return !this.audio.paused && !this.audio.ended;
  }

  play(): void {
    if (this.time >= this.duration) this.seek(0);
    void this.audio.play().catch(() => {}); // the browser wants a click first: it stays paused
  }

  pause(): void {
    this.audio.pause();
  }

  seek(seconds: number): void {
    this.audio.currentTime = seconds;
    this.stepped = -1;
  }
}

/** A clock without sound. */
export class SilentClock implements Clock {
  private begun = 0;
  private held: number | null = 0;

  constructor(readonly duration: number) {}

  get time(): number {
    if (this.held === null && performance.now() / 1000 - this.begun >= this.duration) this.held = this.duration;
    return this.held ?? performance.now() / 1000 - this.begun;
  }

  get playing(): boolean {
    return this.time >= 0 && this.held === null;
  }

  play(): void {
    const from = this.time >= this.duration ? 0 : this.time;
    this.begun = performance.now() / 1000 - from;
    this.held = null;
  }

  pause(): void {
    this.held = this.time;
  }

  seek(seconds: number): void {
    if (this.playing) this.begun = performance.now() / 1000 - seconds;
    else this.held = seconds;
  }
}
