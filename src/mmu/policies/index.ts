// The --tlb policies by name. Each stands, with its definition, in a file of its own.

import type { Random } from '../../base/random.js';
import type { TlbPolicyName } from '../staleness.js';
import { coherent } from './coherent.js';
import { demand } from './demand.js';
import { hoarding } from './hoarding.js';
import type { TlbPolicy } from './policy.js';
import { randomPolicy } from './random.js';

/** A fresh policy of this name; only `random` draws from the generator. */
export function policyOf(name: TlbPolicyName, random: Random): TlbPolicy {
  return name === 'random' ? randomPolicy(random) : { coherent, demand, hoarding }[name];
}
