/** Head: a GLB whose ARKit-named morph targets, and head bone, a motion drives. */

import { type AnimationClip, Box3, Euler, Mesh, type Object3D, Quaternion, Vector3 } from "three";
import { type GLTF, GLTFLoader } from "three/addons/loaders/GLTFLoader.js";

import { animatedGlb } from "../files/glb.js";
import type { Motion } from "../talker/index.js";
import { ARKIT_NAMES } from "./arkit_names.js";
import { matched } from "./arkit.js";

/** Weights at one moment, and the head's pitch, yaw, roll in radians. */
export interface Pose {
  names: readonly string[];
  weights: ArrayLike<number>;
  head: ArrayLike<number> | null;
}

/** A head that cannot be used: one line with the remedy. */
export class HeadError extends Error {}

/** The bone of a head; the loader numbers names that occur twice. */
const HEAD_BONE = /(^head|_head|Head)(_\d+)?$/;

interface MorphMesh {
  mesh: Mesh;
  targets: ReadonlyMap<string, number>;
}

/** The head's bone, its turn at rest, and that of what it hangs on. */
interface Neck {
  bone: Object3D;
  /** Its node in the file. */
  node: number;
  rest: Quaternion;
  parent: Quaternion;
}

export class Head {
  readonly object: Object3D;
  readonly clips: readonly AnimationClip[];
  private readonly meshes: readonly MorphMesh[];
  private readonly neck: Neck | null;

  private constructor(
    gltf: GLTF,
    /** The file. */
    readonly glb: ArrayBuffer,
  ) {
    this.object = gltf.scene;
    this.clips = gltf.animations;
    this.meshes = morphMeshes(gltf.scene);
    this.neck = neckOf(gltf);
  }

  /** Read a GLB (or glTF with everything inside it). */
  static async load(glb: ArrayBuffer): Promise<Head> {
    let gltf;
    try {
      gltf = await new GLTFLoader().parseAsync(glb.slice(0), "");
    } catch (error) {
      throw new HeadError(`this is no GLB file that can be read (${(error as Error).message}); export it as one .glb`);
    }
    const head = new Head(gltf, glb);
    if (!head.count) {
      throw new HeadError("this GLB has no morph targets with ARKit names, such as jawOpen; export it with blendshapes");
    }
    return head;
  }

  /** How many of the 52 names it has. */
  get count(): number {
    return new Set(this.meshes.flatMap(({ targets }) => [...targets.keys()])).size;
  }

  /** Where its face is: what the morph targets of eyes and jaw move. */
  face(): Box3 {
    this.object.updateMatrixWorld(true);
    const box = new Box3();
    const point = new Vector3();
    for (const { mesh, targets } of this.meshes) {
      for (const [name, index] of targets) {
        if (!/jawOpen|eyeBlink|browInnerUp|mouthSmile/.test(name)) continue;
        const offsets = mesh.geometry.morphAttributes.position![index]!;
        for (let i = 0; i < offsets.count; i++) {
          if (Math.hypot(offsets.getX(i), offsets.getY(i), offsets.getZ(i)) === 0) continue;
          box.expandByPoint(mesh.localToWorld(mesh.getVertexPosition(i, point)));
        }
      }
    }
    return box.isEmpty() ? box.setFromObject(this.object) : box;
  }

  /** Take on a pose. */
  pose({ names, weights, head }: Pose): void {
    for (const { mesh, targets } of this.meshes) {
      names.forEach((name, i) => {
        const index = targets.get(name);
        if (index !== undefined) mesh.morphTargetInfluences![index] = weights[i]!;
      });
    }
    if (this.neck) this.neck.bone.quaternion.copy(turned(this.neck, head));
  }

  /** The file with a motion as its animation. */
  animated(motion: Motion): Uint8Array<ArrayBuffer> {
    const { neck } = this;
    const turns = neck && motion.head && {
      node: neck.node,
      rotations: Float32Array.from(motion.head.flatMap((head) => turned(neck, head).toArray())),
    };
    return animatedGlb(this.glb, motion, turns);
  }

  /** Let the memory of the graphics card go. */
  dispose(): void {
    this.object.traverse((node) => {
      if (!(node instanceof Mesh)) return;
      node.geometry.dispose();
      for (const material of [node.material].flat()) {
        material.map?.dispose();
        material.dispose();
      }
    });
  }
}

function morphMeshes(object: Object3D): MorphMesh[] {
  const meshes: MorphMesh[] = [];
  object.traverse((node) => {
    if (!(node instanceof Mesh) || !node.morphTargetDictionary) return;
    node.frustumCulled = false; // its bounds are those of the face at rest
    const targets = matched(ARKIT_NAMES, node.morphTargetDictionary);
    if (targets.size) meshes.push({ mesh: node, targets });
  });
  return meshes;
}

function neckOf({ scene, parser }: GLTF): Neck | null {
  scene.updateMatrixWorld(true);
  let bone: Object3D | undefined;
  scene.traverse((node) => {
    if ("isBone" in node && HEAD_BONE.test(node.name)) bone ??= node;
  });
  const node = bone && parser.associations.get(bone)?.nodes;
  if (!bone?.parent || node === undefined) return null;
  return { bone, node, rest: bone.quaternion.clone(), parent: bone.parent.getWorldQuaternion(new Quaternion()) };
}

/** The bone's own rotation when the head is turned in the world's axes: R = Rz Ry Rx. */
function turned({ rest, parent }: Neck, head: ArrayLike<number> | null): Quaternion {
  const turn = new Quaternion().setFromEuler(new Euler(head?.[0] ?? 0, head?.[1] ?? 0, head?.[2] ?? 0, "ZYX"));
  return parent.clone().invert().multiply(turn).multiply(parent).multiply(rest);
}
