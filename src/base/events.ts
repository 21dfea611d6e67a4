// A channel of events that costs one boolean test while nobody listens: whoever emits asks `active` first, so that the
// event value is not even built.

export interface Channel<Event> {
  /** True while somebody listens. Test it before building an event. */
  readonly active: boolean;
  emit(event: Event): void;
  /** Adds a listener; the returned function removes it. Listeners run in the order they were added. */
  subscribe(listener: (event: Event) => void): () => void;
}

export function channel<Event>(): Channel<Event> {
  let listeners: readonly ((event: Event) => void)[] = [];
  return {
    get active() {
      return listeners.length > 0;
    },
    emit(event) {
      for (const listener of listeners) listener(event);
    },
    subscribe(listener) {
      listeners = [...listeners, listener];
      return () => {
        listeners = listeners.filter((other) => other !== listener);
      };
    },
  };
}
