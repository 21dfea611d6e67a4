import type { Domain } from './domain.js';

export class EventChannels {
  readonly domain: Domain;

  constructor(domain: Domain) {
    this.domain = domain;
  }
}
