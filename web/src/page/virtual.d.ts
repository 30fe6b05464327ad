declare module "virtual:ort-wasm" {
  /** Where the gzipped WebAssembly of ONNX Runtime is. */
  const url: string;
  export default url;
}
