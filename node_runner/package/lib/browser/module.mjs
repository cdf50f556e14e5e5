import browser from './load.js';

export const { loaderOf, pixelsOf, DeployError, ImageError, IntegrityError } = browser;
