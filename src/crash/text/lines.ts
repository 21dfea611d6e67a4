// Chunks of text → lines, in constant memory: CR LF, LF and lone CR end a line, wherever the chunks are cut.

import { LONGEST_LINE } from './clean.js';

export interface LineSplitter {
  /** Hands every line that the chunk completes to the listener, without its ending. */
  push(chunk: string): void;
  /** Hands over a last line that nothing ended. */
  end(): void;
}

const LINE_FEED = 10;

/** Lines longer than LONGEST_LINE are handed over cut to that length. */
export function lineSplitter(listener: (line: string) => void): LineSplitter {
  let rest = '';
  let afterReturn = false;

  const emit = (line: string): void => {
    listener(line.length > LONGEST_LINE ? line.slice(0, LONGEST_LINE) : line);
  };

  return {
    push(chunk) {
      if (chunk === '') return;
      // The line feed of a CR LF that the chunks cut in two.
      let start = afterReturn && chunk.charCodeAt(0) === LINE_FEED ? 1 : 0;
      afterReturn = false;
      let feed = chunk.indexOf('\n', start);
      let carriage = chunk.indexOf('\r', start);
      while (feed >= 0 || carriage >= 0) {
        const atReturn = feed < 0 || (carriage >= 0 && carriage < feed);
        const end = atReturn ? carriage : feed;
        emit(rest + chunk.slice(start, end));
        rest = '';
        start = end + 1;
        if (atReturn && chunk.charCodeAt(start) === LINE_FEED) start++;
        else if (atReturn && start === chunk.length) afterReturn = true;
        if (feed >= 0 && feed < start) feed = chunk.indexOf('\n', start);
        if (carriage >= 0 && carriage < start) carriage = chunk.indexOf('\r', start);
      }
      if (rest.length <= LONGEST_LINE) rest += chunk.slice(start, start + LONGEST_LINE + 1);
    },
    end() {
      if (rest !== '') emit(rest);
      rest = '';
    },
  };
}
