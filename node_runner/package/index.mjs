import classifier from './index.js';

export const { load, loadFrom, pixelsOf, DeployError, ImageError, IntegrityError } = classifier;
