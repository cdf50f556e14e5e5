import classifier from './index.js';

export const { load, DeployError, ImageError, IntegrityError } = classifier;
