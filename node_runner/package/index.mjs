import classifier from './index.js';

export const { load, loadFrom, DeployError, ImageError, IntegrityError } = classifier;
