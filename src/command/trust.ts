/** Whether `--trusted-proxies` holds more than the loopback addresses of this machine. */
export const believes = (blocks: readonly string[]): 'loopback' | 'others' =>
  blocks.every((block) => /^(127\.|::1(\/128)?$)/.test(block)) ? 'loopback' : 'others'
