/** Errors of use: one line that names the input and the remedy, as `codetalker.errors` has them. */

export class CodeTalkerError extends Error {
  override name = "CodeTalkerError";
}

/** The sound cannot be taken. */
export class AudioError extends CodeTalkerError {
  override name = "AudioError";
}

/** A file of the model is missing or does not fit the others. */
export class ModelError extends CodeTalkerError {
  override name = "ModelError";
}

/** An option is out of range. */
export class OptionError extends CodeTalkerError {
  override name = "OptionError";
}

/** A speaking style is unknown, or a blend of them is none. */
export class StyleError extends CodeTalkerError {
  override name = "StyleError";
}
