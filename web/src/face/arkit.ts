/** ARKit names: how the morph targets of other people's heads are recognised. */

/** The name without what tools put before it, and with sides spelled out: `mesh.jawLeft`, `mouthSmile_L`. */
export function plainName(name: string): string {
  const last = name.split(/[.:|]/).at(-1)!.replaceAll(/\s/g, "");
  return last.replace(/_?blend_?shape\d*_?/i, "").replace(/_l$/i, "Left").replace(/_r$/i, "Right").replaceAll("_", "").toLowerCase();
}

/** The targets of a mesh by the weight's name, as far as it has them. */
export function matched(names: readonly string[], targets: Readonly<Record<string, number>>): Map<string, number> {
  const known = new Map(Object.entries(targets).map(([name, index]) => [plainName(name), index]));
  const found = names.map((name) => [name, known.get(name.toLowerCase())] as const);
  return new Map(found.filter((pair): pair is readonly [string, number] => pair[1] !== undefined));
}
