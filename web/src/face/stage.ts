/** Stage: a head in light before a camera, drawn when something has changed. */

import {
  Box3, Color, DirectionalLight, HemisphereLight, NeutralToneMapping, PerspectiveCamera, Scene, Vector3, WebGLRenderer,
} from "three";
import { OrbitControls } from "three/addons/controls/OrbitControls.js";

import { type Head, HeadError } from "./head.js";

/** Of the picture's height (or width, where it is narrower) that the moving part of the face takes. */
const FACE_SHARE = 0.64;
const FIELD_OF_VIEW = 24;
/** Of the picture's height that the face is lowered at most, so that a bust does not float. */
const BUST = 0.14;

export class Stage {
  private readonly renderer: WebGLRenderer;
  private readonly scene = new Scene();
  private readonly camera = new PerspectiveCamera(FIELD_OF_VIEW, 1, 0.01, 100);
  private readonly view: OrbitControls;
  private head: Head | null = null;
  private stale = true;

  /** `before` is called ahead of every picture, with the chance to pose the head. */
  constructor(
    private readonly canvas: HTMLCanvasElement,
    before: () => void,
  ) {
    try {
      this.renderer = new WebGLRenderer({ canvas, antialias: true, alpha: true });
    } catch {
      throw new HeadError("this browser shows no 3D graphics; turn on WebGL, or use another browser");
    }
    this.renderer.toneMapping = NeutralToneMapping;
    this.renderer.toneMappingExposure = 1.25;
    this.renderer.setClearColor(new Color(0), 0);
    light(this.scene);
    this.scene.add(this.camera);
    this.view = new OrbitControls(this.camera, canvas);
    this.view.enablePan = false;
    this.view.enableDamping = true;
    this.view.addEventListener("change", () => this.redraw());
    canvas.addEventListener("dblclick", () => this.frame());
    new ResizeObserver(() => this.resize()).observe(canvas);
    this.renderer.setAnimationLoop(() => {
      before();
      this.view.update();
      if (this.stale) this.renderer.render(this.scene, this.camera);
      this.stale = false;
    });
  }

  /** Show a head in place of the last one. */
  show(head: Head): void {
    if (this.head) {
      this.scene.remove(this.head.object);
      this.head.dispose();
    }
    this.head = head;
    this.scene.add(head.object);
    this.frame();
  }

  /** Draw the next picture anew. */
  redraw(): void {
    this.stale = true;
  }

  /** Look at the face from the front. */
  frame(): void {
    if (!this.head) return;
    const face = this.head.face();
    const size = face.getSize(new Vector3());
    const centre = face.getCenter(new Vector3());
    const [width, height] = [this.canvas.clientWidth || 1, this.canvas.clientHeight || 1];
    const fit = Math.max(size.y, (size.x * 1.15 * height) / width);
    const seen = fit / FACE_SHARE;
    const distance = seen / 2 / Math.tan((FIELD_OF_VIEW * Math.PI) / 360);
    const cut = new Box3().setFromObject(this.head.object).min.y; // a bust stands on the lower edge
    centre.y += Math.min(Math.max(cut - (centre.y - seen / 2), 0), BUST * seen);
    this.camera.near = distance / 50;
    this.camera.far = distance * 50;
    this.camera.position.set(centre.x, centre.y, face.max.z + distance);
    this.camera.updateProjectionMatrix();
    this.view.target.copy(centre);
    this.view.minDistance = distance / 3;
    this.view.maxDistance = distance * 4;
    this.view.update();
    this.redraw();
  }

  private resize(): void {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!width || !height) return;
    this.renderer.setPixelRatio(Math.min(devicePixelRatio, 2));
    this.renderer.setSize(width, height, false);
    this.camera.aspect = width / height;
    this.frame();
    this.renderer.render(this.scene, this.camera); // now: an empty canvas would flash
  }
}

/** A soft sky, a key light from the upper left, a rim from behind. */
function light(scene: Scene): void {
  scene.add(new HemisphereLight(0xf3f1ff, 0x4a3b34, 1.6));
  const lamps = [[0xfff2e2, 2.3, -1.2, 1.5, 2], [0xbfd4ff, 0.5, 2, 0.3, 1.5], [0xcfe0ff, 1.6, 1.2, 1.6, -2]] as const;
  for (const [colour, strength, x, y, z] of lamps) {
    const lamp = new DirectionalLight(colour, strength);
    lamp.position.set(x, y, z);
    scene.add(lamp);
  }
}
